package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

func emulateCommand(e *env) *cobra.Command {
	var o emulator.Options
	var dir string
	c := &cobra.Command{
		Use:   "emulate",
		Short: "Serve a made-up tenant until interrupted",
		Long: `Serves a made-up tenant on the loopback interface until it is interrupted, and prints its address. With
--write-config it also writes the configuration, the tenant's CA and the certificates of its two identities.`,
		Example: "  tidemark emulate --write-config /tmp/contoso\n  tidemark emulate --users 100000 --groups 5000 --addr 127.0.0.1:8443",
		Hidden:  true,
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return e.emulate(c.Context(), o, dir) },
	}
	f := c.Flags()
	f.IntVar(&o.Users, "users", 0, "how many users (default 60)")
	f.IntVar(&o.Groups, "groups", 0, "how many groups (default 25)")
	f.IntVar(&o.Apps, "apps", 0, "how many applications (default 12)")
	f.Uint64Var(&o.Seed, "seed", 0, "what the population is made from; the same seed gives the same tenant")
	f.StringVar(&o.Addr, "addr", "", "address to listen on (default a free port of 127.0.0.1)")
	f.StringVar(&dir, "write-config", "", "folder to write tidemark.yaml, ca.pem, capture.pem and restore.pem into")
	return c
}

func (e *env) emulate(ctx context.Context, o emulator.Options, dir string) error {
	if o.Users < 0 || o.Groups < 0 || o.Apps < 0 {
		return usage("--users, --groups and --apps count from 0")
	}
	o.Now = e.now
	t, err := emulator.Start(o)
	if err != nil {
		return fmt.Errorf("start the made-up tenant: %w", err)
	}
	defer t.Close()
	doc := struct {
		URL    string `json:"url"`
		Tenant string `json:"tenant"`
		Config string `json:"config,omitempty"`
	}{URL: t.URL(), Tenant: t.ID()}
	text := doc.URL + "\n"
	if dir != "" {
		if dir, err = filepath.Abs(dir); err != nil {
			return err
		}
		if err := writeTenant(dir, t); err != nil {
			return fmt.Errorf("write configuration: %w", err)
		}
		doc.Config = filepath.Join(dir, "tidemark.yaml")
		text += "TIDEMARK_CONFIG=" + doc.Config + "\n"
	}
	if err := e.print(result{doc: doc, rows: []any{doc}, text: text}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
