package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/access"
	"github.com/tidemark-backup/tidemark/internal/emulator"
)

// A restore that the person or the machine asks to stop ends what is under way, says so and how to go on, and ends
// with 130; the same command then finishes it. It says after how long the first administrator could work.
func TestStoppedRestoreGoesOn(t *testing.T) {
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			b := newBench(t, emulator.Options{})
			do := func(method, path string, body any) string {
				status, answer := b.tenant.Do(method, "/v1.0"+path, body)
				if status >= 300 {
					t.Fatalf("%s %s: %d %v", method, path, status, answer)
				}
				id, _ := answer["id"].(string)
				return id
			}
			var people, groups []string
			for i := range 120 {
				people = append(people, do("POST", "/users", map[string]any{"accountEnabled": true, "displayName": fmt.Sprintf("Person %d", i), "mailNickname": fmt.Sprintf("person%d", i),
					"userPrincipalName": fmt.Sprintf("person%d@contoso.example", i), "passwordProfile": map[string]any{"password": "Xk29!fmmwqp0"}}))
				groups = append(groups, do("POST", "/groups", map[string]any{"displayName": fmt.Sprintf("Team %d", i), "mailEnabled": false, "mailNickname": fmt.Sprintf("team%d", i), "securityEnabled": true}))
			}
			do("POST", "/roleManagement/directory/roleAssignments", map[string]any{"principalId": people[7], "roleDefinitionId": string(access.GlobalAdministrator), "directoryScopeId": "/"})
			b.run(0, "capture")
			for i := range people {
				do("DELETE", "/users/"+people[i], nil)
				do("DELETE", "/groups/"+groups[i], nil)
			}
			restore := []string{"restore", "--to", "1", "--allow", "objects=999,links=999,privileged=99", "--yes", "any", "-o", "json", "--progress", "json"}
			cmd, _, _ := b.command(restore...)
			cmd.Stderr = nil
			said, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var rest bytes.Buffer
			events := 0
			for lines := bufio.NewScanner(said); lines.Scan(); {
				line := lines.Text()
				if !strings.Contains(line, `"event"`) {
					fmt.Fprintln(&rest, line)
					continue
				}
				if !strings.Contains(line, `"event":"apply"`) {
					continue
				}
				var event struct {
					Done, Total int
					Left        float64
				}
				if err := json.Unmarshal([]byte(line), &event); err != nil || event.Total < 120 || event.Left <= 0 {
					t.Errorf("%s: %v", line, err)
				}
				if events++; event.Done == 3 {
					if err := cmd.Process.Signal(signal); err != nil {
						t.Fatal(err)
					}
				}
			}
			_ = cmd.Wait() // the exit code is looked at
			if code := cmd.ProcessState.ExitCode(); code != 130 || events < 3 {
				t.Fatalf("exit %d after %d events\n%s", code, events, &rest)
			}
			for _, want := range []string{"stopping: what is under way is finished first", "stopped", "run the same command again: it continues"} {
				if !strings.Contains(rest.String(), want) {
					t.Errorf("does not say %q:\n%s", want, &rest)
				}
			}
			var out struct {
				Verified bool
				First    *float64 `json:"firstAdministratorSeconds"`
				Seconds  float64
			}
			if err := json.Unmarshal(b.run(0, restore...), &out); err != nil {
				t.Fatal(err)
			}
			if !out.Verified || out.First == nil || *out.First > out.Seconds {
				t.Errorf("the restore ended with %+v", out)
			}
			b.run(0, "check", "--deep")
		})
	}
}
