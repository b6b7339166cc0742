package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// isReference reports whether a value says where a secret is, and so is none.
func isReference(v string) bool {
	scheme, rest, ok := strings.Cut(v, ":")
	return ok && rest != "" && (scheme == "file" || scheme == "env" || scheme == "exec")
}

// resolve returns the secret that a reference names: the content of a file, the value of an environment
// variable, or what a command prints.
func (e *env) resolve(ctx context.Context, ref string) ([]byte, error) {
	scheme, rest, _ := strings.Cut(ref, ":")
	switch scheme {
	case "file":
		data, err := os.ReadFile(rest) //nolint:gosec // the configuration names the file
		if err != nil {
			return nil, &exit{code: 2, err: fmt.Errorf("read secret: %w", err), hint: "the configuration names this file; put it there, or correct the path"}
		}
		return data, nil
	case "env":
		v := e.getenv(rest)
		if v == "" {
			return nil, &exit{code: 2, err: fmt.Errorf("read secret: the environment variable %s is empty", rest), hint: "the configuration names this variable; set it, or name another source"}
		}
		return []byte(v), nil
	case "exec":
		words := strings.Fields(rest)
		out, err := exec.CommandContext(ctx, words[0], words[1:]...).Output() //nolint:gosec // the configuration names the command
		if err != nil {
			return nil, fmt.Errorf("read secret from %s: %w", words[0], err)
		}
		return bytes.TrimRight(out, "\r\n"), nil
	}
	return nil, fmt.Errorf("read secret: %q is no file:, env: or exec: reference", scheme)
}
