// Command tidemark keeps the memory of a Microsoft Entra tenant: it captures the directory, says what
// changed, and brings any part of it back.
//
// The program's files wire the packages below internal/ together, parse what people type, and print. Exit
// codes are a contract: 0 done, 1 failed, 2 wrong usage, 3 finished but partial, 4 differences found,
// 5 verification or tamper failure, 6 refused by guard, 7 approval missing, 10 no repository, 11 locked,
// 12 wrong key, 130 interrupted. A code that is not listed means failure.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second one ends the process at once
	code := run(ctx, &env{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv, now: time.Now,
		terminal: term.IsTerminal(int(os.Stderr.Fd())), //nolint:gosec // a file descriptor fits an int
		asks:     term.IsTerminal(int(os.Stdin.Fd())),
	}, os.Args[1:])
	stop()
	os.Exit(code)
}

// An env is all that a command may know of the world around the process.
type env struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	now      func() time.Time
	terminal bool // standard error is a terminal: progress may overwrite its line
	asks     bool // standard input is a terminal: a person can be asked

	// Flags that every command takes.
	config     string
	tenant     string
	repository string
	identity   string
	secret     string // a passphrase, by reference, in the place of an identity
	format     string
	progress   string
	color      string
	noInput    bool

	deviceCode bool // of the commands for which a person may sign in
}

// run carries out one command line and returns its exit code.
func run(ctx context.Context, e *env, args []string) int {
	if e.getenv("GOGC") == "" {
		debug.SetGCPercent(50) // a few in a hundred of the time for a quarter of the memory
	}
	root := newRoot(e)
	root.SetArgs(args)
	root.SetIn(e.in)
	root.SetOut(e.out)
	root.SetErr(e.err)
	return e.report(ctx, root.ExecuteContext(ctx))
}

func newRoot(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:   "tidemark",
		Short: "Keep the memory of a Microsoft Entra tenant, and bring any part of it back",
		Long: `Tidemark captures a Microsoft Entra tenant into an encrypted, append-only repository, says what changed,
when and by whom, and brings any part of it back: one property of one policy, or the whole tenant.`,
		Example: `  tidemark demo                              try it on a made-up tenant, no account needed
  tidemark init                              make the repository and its keys
  tidemark capture                           read the tenant into a new snapshot
  tidemark diff latest~1                     what changed since the snapshot before
  tidemark restore --object user:anna@contoso.com --to "3 days ago"`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("unknown command %q; see tidemark --help", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("%v; see %s --help", err, c.CommandPath())
	})
	f := root.PersistentFlags()
	f.StringVar(&e.config, "config", "", "configuration file (default: $TIDEMARK_CONFIG, ./tidemark.yaml, ...)")
	f.StringVar(&e.tenant, "tenant", "", "name of the tenant in the configuration, where it has several")
	f.StringVar(&e.repository, "repository", "", "URL of the repository, instead of the configuration's")
	f.StringVar(&e.identity, "identity", "", "age identity file that opens the repository, instead of the configuration's")
	f.StringVar(&e.secret, "passphrase", "", "passphrase that opens the repository, instead of an identity: ask, file:PATH, env:NAME or exec:COMMAND")
	f.StringVarP(&e.format, "output", "o", "table", "how to print the result: table, json, jsonl, csv or yaml")
	f.StringVar(&e.progress, "progress", "auto", "progress on standard error: auto, plain, json or none")
	f.StringVar(&e.color, "color", "auto", "colour: auto, always or never")
	f.BoolVar(&e.noInput, "no-input", false, "never ask; what would be asked is refused")
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return e.checkFlags() }
	for _, c := range []func(*env) *cobra.Command{
		initCommand, doctorCommand, typesCommand, captureCommand, snapshotsCommand, coverageCommand,
		showCommand, findCommand, diffCommand, historyCommand, whenCommand,
		planCommand, approveCommand, applyCommand, restoreCommand, undoCommand, verifyCommand, drillCommand, reportCommand, containCommand, bootstrapCommand,
		checkCommand, proveCommand, copyCommand, holdCommand, forgetCommand, keyCommand, exportCommand, configCommand, demoCommand, emulateCommand,
	} {
		root.AddCommand(c(e))
	}
	root.SetHelpCommandGroupID("")
	return root
}

// version is the module's version as the build recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return strings.Trim(info.Main.Version, "()")
}

// An exit is an error with the code the process ends with, and the next step for the person.
type exit struct {
	code int
	hint string
	err  error // nil: everything has been said already
}

func (x *exit) Error() string {
	if x.err == nil {
		return fmt.Sprintf("exit %d", x.code)
	}
	return x.err.Error()
}

func (x *exit) Unwrap() error { return x.err }

// usage is an error of the person who typed.
func usage(format string, args ...any) error {
	return &exit{code: 2, err: fmt.Errorf(format, args...)}
}

// report says an error to the person and returns the exit code.
func (e *env) report(ctx context.Context, err error) int {
	if err == nil {
		return 0
	}
	code, hint := explain(err)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		code, hint = 130, "run the same command again: it continues"
	}
	if x, ok := errors.AsType[*exit](err); !ok || x.err != nil {
		fmt.Fprintf(e.err, "tidemark: %s\n", clean(err.Error()))
	}
	if hint != "" {
		fmt.Fprintf(e.err, "tidemark: hint: %s\n", hint)
	}
	return code
}
