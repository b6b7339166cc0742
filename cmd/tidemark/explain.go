package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/apply"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/repository"
)

// explain maps an error to the exit code and to the next step for the person.
func explain(err error) (code int, hint string) {
	if x, ok := errors.AsType[*exit](err); ok {
		return x.code, x.hint
	}
	if _, ok := errors.AsType[*repository.CorruptError](err); ok {
		return 5, "tidemark check says what is damaged and which snapshots it touches; restore the files from a copy of the repository"
	}
	switch {
	case errors.Is(err, context.Canceled):
		return 130, ""
	case errors.Is(err, repository.ErrNoRepository):
		return 10, "tidemark init makes one; or name the right place with --repository or in the configuration"
	case errors.Is(err, repository.ErrKey):
		return 12, "name the identity of one of the repository's holders with --identity or keys.identity"
	case errors.Is(err, repository.ErrFormat):
		return 1, "install a newer release of tidemark"
	case errors.Is(err, repository.ErrRollback):
		return 5, "records this machine has seen are missing: somebody put back an older copy of the repository, or replaced it"
	case errors.Is(err, repository.ErrParent):
		return 11, "another capture finished first; run the command again"
	case errors.Is(err, apply.ErrStale):
		return 6, "the tenant changed since the plan was made; make a new plan and look at it"
	}
	if refused, ok := errors.AsType[*graph.Error](err); ok {
		switch refused.Status {
		case 401:
			return 1, "the credential was refused; tidemark doctor says what is wrong with it"
		case 403:
			return 1, "a permission is missing; tidemark doctor lists the ones that are needed"
		}
		return 1, ""
	}
	// A failed system call is a net.Error too, by the methods it has.
	_, ofFile := errors.AsType[*fs.PathError](err)
	if _, ok := errors.AsType[net.Error](err); ok && !ofFile {
		return 1, "the service could not be reached; check the network, the proxy and graph, authority and ca in the configuration"
	}
	if errors.Is(err, fs.ErrPermission) {
		return 1, "this user may not read or write that file"
	}
	for _, said := range []string{"unknown command", "unknown flag", "unknown shorthand", "required flag", "accepts "} {
		if strings.HasPrefix(err.Error(), said) {
			return 2, ""
		}
	}
	return 1, ""
}

// partial is how a command ends that did what it could, though a part of the tenant could not be read.
func partial(format string, args ...any) error {
	return &exit{code: 3, err: fmt.Errorf(format, args...), hint: "tidemark coverage says which parts, and why"}
}
