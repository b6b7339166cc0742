package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/pkg/browser"
	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/graph"
)

// personFlags are those of commands for which a person may sign in.
func (e *env) personFlags(c *cobra.Command) {
	c.Flags().BoolVar(&e.deviceCode, "device-code", false, "where restore.interactive is set: sign in with a code typed into a browser on another machine")
}

// person is how somebody is asked to sign in. What is said goes to standard error.
func (s *session) person() (*graph.Person, error) {
	tenant := clean(s.tenantName())
	switch {
	case s.noInput:
		return nil, &exit{code: 2, err: fmt.Errorf("a person signs in to tenant %s for this, and --no-input asks nobody", tenant),
			hint: "leave --no-input out; for restores a certificate can take the place of restore.interactive"}
	case s.deviceCode:
		return &graph.Person{Code: func(address, code string) error {
			fmt.Fprintf(s.err, "tidemark: warning: a device code signs in whoever typed it for whoever asked for it; go on only if you have just started this command\n")
			fmt.Fprintf(s.err, "tidemark: sign in to tenant %s: open %s on any machine and enter the code %s\n", tenant, clean(address), clean(code))
			return nil
		}}, nil
	}
	return &graph.Person{Open: func(address string) error {
		if !s.browses() {
			s.browserless(address, "no browser can be opened here")
			return nil
		}
		fmt.Fprintf(s.err, "tidemark: sign in to tenant %s in the browser that opens now; if none does, open this address on this machine (waits 15 minutes, Ctrl-C gives up):\n%s\n", tenant, clean(address))
		go func() { // some browsers stay in the foreground
			browser.Stdout, browser.Stderr = io.Discard, io.Discard // standard output is the result's
			if err := browser.OpenURL(address); err != nil {
				s.browserless(address, "no browser could be opened")
			}
		}()
		return nil
	}}, nil
}

// browserless tells a person what to do by hand.
func (s *session) browserless(address, why string) {
	fmt.Fprintf(s.err, "tidemark: sign in to tenant %s: %s; open this address on this machine (waits 15 minutes, Ctrl-C gives up):\n%s\n", clean(s.tenantName()), why, clean(address))
	fmt.Fprintf(s.err, "tidemark: hint: where your browser is on another machine, stop this command and add --device-code\n")
}

// browses reports whether a browser could show itself to the person: by the display that graphical programs are given,
// and where there is no such thing, by whether this is the machine they sit at.
func (e *env) browses() bool {
	switch runtime.GOOS {
	case "windows", "darwin":
		return e.getenv("SSH_CONNECTION") == ""
	}
	return e.getenv("DISPLAY") != "" || e.getenv("WAYLAND_DISPLAY") != ""
}
