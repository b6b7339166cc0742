package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

// long reports whether the big counts are asked for.
func long() bool { return os.Getenv("TIDEMARK_LONG") != "" }

// A bench is a made-up tenant with a repository, worked on by real processes.
type bench struct {
	t      testing.TB
	dir    string
	tenant *emulator.Tenant
	env    []string
	cpu    time.Duration // what the program that was run last took of the processors
}

func newBench(t testing.TB, o emulator.Options) *bench {
	t.Helper()
	e, err := emulator.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	b := &bench{t: t, dir: t.TempDir(), tenant: e}
	if err := writeTenant(b.dir, e); err != nil {
		t.Fatal(err)
	}
	b.env = append(os.Environ(), "HOME="+b.dir, "XDG_STATE_HOME="+filepath.Join(b.dir, "state"), "XDG_CACHE_HOME="+filepath.Join(b.dir, "cache"),
		"TIDEMARK_CONFIG="+filepath.Join(b.dir, "tidemark.yaml"), peakFile+"="+filepath.Join(b.dir, "peak"))
	b.run(0, "init")
	return b
}

func (b *bench) command(args ...string) (*exec.Cmd, *bytes.Buffer, *bytes.Buffer) {
	var out, errs bytes.Buffer
	cmd := exec.Command("tidemark", args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = b.env, b.dir, &out, &errs
	return cmd, &out, &errs
}

// run runs tidemark to its end and returns what it printed.
func (b *bench) run(code int, args ...string) []byte {
	b.t.Helper()
	cmd, out, errs := b.command(args...)
	_ = cmd.Run() // the exit code is looked at
	b.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if got := cmd.ProcessState.ExitCode(); got != code {
		b.t.Fatalf("tidemark %v: exit %d, want %d\n%s%s", args, got, code, out, errs)
	}
	return out.Bytes()
}

// peak is the largest resident set of the process that ended last, in bytes.
func (b *bench) peak() int64 {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, "peak"))
	if err != nil {
		b.t.Fatal(err)
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// killed starts tidemark, kills it after d, and reports whether it was still running.
func (b *bench) killed(d time.Duration, args ...string) bool {
	b.t.Helper()
	cmd, _, _ := b.command(args...)
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	select {
	case <-done:
		return false
	case <-time.After(d):
		_ = cmd.Process.Kill()
		<-done
		return true
	}
}

// TestKilledAnywhere kills capture and restore at random moments: the repository opens and is whole, running
// again finishes, and nothing exists twice.
func TestKilledAnywhere(t *testing.T) {
	kills := 16 // of most commands, and 100 in all
	if long() {
		kills = 160
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("TIDEMARK_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	b := newBench(t, emulator.Options{})
	b.run(0, "capture")
	whole := measure(func() { b.run(0, "capture") })

	t.Run("capture", func(t *testing.T) {
		hits, rounds := 0, 0
		for i := 0; hits < kills; i++ {
			if rounds++; rounds > 4*kills+20 {
				t.Fatalf("only %d of %d kills in %d rounds", hits, kills, rounds)
			}
			b.tenant.Do("PATCH", "/v1.0/users/"+b.tenant.Find("users", "Ada Admin"), map[string]any{"jobTitle": fmt.Sprint("title ", i)})
			if b.killed(time.Duration(random.Int64N(int64(whole))), "capture") {
				hits++
			}
			b.run(0, "check", "--deep")
		}
		b.run(0, "capture")
		t.Logf("%d kills in %d captures: the repository is whole after each", hits, rounds)
	})

	t.Run("init", func(t *testing.T) {
		dir := t.TempDir()
		fresh := func(n int) *bench {
			c := *b
			c.t, c.dir = t, filepath.Join(dir, strconv.Itoa(n))
			if err := writeTenant(c.dir, b.tenant); err != nil {
				t.Fatal(err)
			}
			c.env = append(slices.Clone(b.env), "HOME="+c.dir, "XDG_STATE_HOME="+filepath.Join(c.dir, "state"), "XDG_CACHE_HOME="+filepath.Join(c.dir, "cache"),
				"TIDEMARK_CONFIG="+filepath.Join(c.dir, "tidemark.yaml"))
			return &c
		}
		full := measure(func() { fresh(0).run(0, "init") })
		hits, rounds := 0, 0
		for hits < kills {
			if rounds++; rounds > 4*kills+20 {
				t.Fatalf("only %d of %d kills in %d rounds", hits, kills, rounds)
			}
			c := fresh(rounds)
			if c.killed(time.Duration(random.Int64N(int64(full))), "init") {
				hits++
			}
			// It is begun again, or was done and nobody was told.
			cmd, out, errs := c.command("init")
			_ = cmd.Run() // the exit code is looked at
			if code := cmd.ProcessState.ExitCode(); code != 0 && (code != 1 || !strings.Contains(errs.String(), "holds a repository already")) {
				t.Fatalf("init again: exit %d\n%s%s", code, out, errs)
			}
			c.run(0, "key", "add", "age1zrkvrsfcf78r9h52lhz6h75qcyhmwy0hxaj0d82xa9dx8vy08f7s9avug0") // signs
			c.run(0, "check", "--deep")
		}
		t.Logf("%d kills in %d inits: each is finished by the next program", hits, rounds)
	})

	t.Run("keys and copies", func(t *testing.T) {
		commands := [][]string{{"key", "add", "age1zrkvrsfcf78r9h52lhz6h75qcyhmwy0hxaj0d82xa9dx8vy08f7s9avug0"}, {"key", "rotate"}, {"copy", filepath.Join(b.dir, "second")}}
		took := make([]time.Duration, len(commands))
		for i, args := range commands {
			took[i] = measure(func() { b.run(0, args...) })
		}
		hits, left, rounds := make([]int, len(commands)), []int{kills, kills, 2 * kills}, 0
		for slices.Max(left) > 0 {
			if rounds++; rounds > 16*kills+20 {
				t.Fatalf("only %v kills in %d rounds", hits, rounds)
			}
			what := slices.Index(left, slices.Max(left))
			if what == 2 && rounds%2 == 0 {
				if err := os.RemoveAll(filepath.Join(b.dir, "second")); err != nil { // all of it is to be copied
					t.Fatal(err)
				}
			}
			if b.killed(time.Duration(random.Int64N(int64(took[what]))), commands[what]...) {
				hits[what]++
				left[what]--
			}
			if what == 2 {
				b.run(0, "copy", filepath.Join(b.dir, "second"))
				b.run(0, "check", "--deep", "--repository", filepath.Join(b.dir, "second"), "--identity", filepath.Join(b.dir, "identity.txt"))
			} else {
				b.run(0, "check")
			}
		}
		b.run(0, "key", "test")
		b.run(0, "check", "--deep")
		t.Logf("%d kills of key add, %d of key rotate, %d of copy, in %d rounds: each repository is whole", hits[0], hits[1], hits[2], rounds)
	})

	t.Run("restore", func(t *testing.T) {
		const lost = 12
		var names []string
		for i := range lost {
			name := fmt.Sprintf("Lost %02d", i)
			names = append(names, name)
			_, g := b.tenant.Do("POST", "/v1.0/groups", map[string]any{"displayName": name, "mailNickname": fmt.Sprint("lost", i), "mailEnabled": false, "securityEnabled": true})
			b.tenant.Do("POST", fmt.Sprintf("/v1.0/groups/%v/members/$ref", g["id"]), map[string]any{"@odata.id": b.tenant.URL() + "/v1.0/directoryObjects/" + b.tenant.Find("users", "Ada Admin")})
		}
		b.run(0, "capture")
		hits, rounds := 0, 0
		goal := latest(t, b)
		full := 4 * whole
		for hits < kills/4 {
			if rounds++; rounds > 4*kills+20 {
				t.Fatalf("only %d of %d kills in %d rounds", hits, kills, rounds)
			}
			for _, name := range names {
				if id := b.tenant.Find("groups", name); id != "" {
					b.tenant.Do("DELETE", "/v1.0/groups/"+id, nil)
					b.tenant.Do("DELETE", "/v1.0/directory/deletedItems/"+id, nil)
				}
			}
			args := []string{"restore", "--only", "group", "--to", strconv.FormatInt(goal, 10), "--yes", "any", "-o", "json"}
			for b.killed(time.Duration(random.Int64N(int64(full))), args...) {
				hits++
				b.run(0, "check")
				if hits >= kills/4 {
					break
				}
			}
			b.run(0, args...)
			count := map[string]int{}
			_, answer := b.tenant.Do("GET", "/v1.0/groups?$top=999&$select=displayName", nil)
			list, _ := answer["value"].([]any)
			for _, g := range list {
				count[fmt.Sprint(dig(g, "displayName"))]++
			}
			for _, name := range names {
				if count[name] != 1 {
					t.Fatalf("seed %d: %d groups are called %s", seed, count[name], name)
				}
			}
		}
		b.run(0, "check", "--deep")
		t.Logf("%d kills in %d restores: no duplicate, nothing lost", hits, rounds)
	})
}

func measure(do func()) time.Duration {
	began := time.Now()
	do()
	return time.Since(began)
}

func latest(t *testing.T, b *bench) int64 {
	t.Helper()
	var list []struct {
		Number int64 `json:"number"`
	}
	if err := json.Unmarshal(b.run(0, "snapshots", "-o", "json"), &list); err != nil || len(list) == 0 {
		t.Fatalf("snapshots: %v", err)
	}
	return list[len(list)-1].Number
}

// TestSmallMemory runs the main paths in a process of its own under a small GOMEMLIMIT against a tenant of
// many users, and looks at the peak that the operating system counted.
func TestSmallMemory(t *testing.T) {
	users := 20_000
	if long() {
		users = 100_000
	}
	b := newBench(t, emulator.Options{Users: users, Groups: 300, Apps: 100})
	b.env = append(b.env, "GOMEMLIMIT=128MiB")
	const most = 320 << 20 // the limit is soft and counts the heap alone; SQLite, stacks and the program come on top
	for _, args := range [][]string{
		{"capture"}, {"capture"}, {"diff", "latest~1"}, {"find", "Ada"}, {"snapshots"}, {"coverage"}, {"check"},
		{"plan", "--object", "user:Ada Admin", "--to", "1"},
		{"restore", "--object", "user:Ada Admin", "--to", "1", "--allow", "privileged=3", "--yes", "any"},
		{"undo", "--from", "1", "--to", "latest", "--dry-run"},
		{"export", "--format", "json", "--only", "group", "groups"},
	} {
		if args[0] == "plan" { // something to bring back
			if status, answer := b.tenant.Do("PATCH", "/v1.0/users/"+b.tenant.Find("users", "Ada Admin"), map[string]any{"jobTitle": "Something else"}); status != 204 {
				t.Fatalf("%d %v", status, answer)
			}
		}
		cmd, out, errs := b.command(args...)
		took := measure(func() { _ = cmd.Run() })
		if code := cmd.ProcessState.ExitCode(); code != 0 {
			t.Fatalf("tidemark %v: exit %d\n%s%s", args, code, out, errs)
		}
		peak := b.peak()
		t.Logf("%-8s %8.1f MiB peak %6.1f s", args[0], float64(peak)/(1<<20), took.Seconds())
		if peak > most {
			t.Errorf("tidemark %v: peak memory %d MiB", args, peak>>20)
		}
	}
}
