package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/guard"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// A roomDoc says how many objects the directory may hold and how many it does, or why that is not known.
type roomDoc struct {
	Used   int    `json:"used,omitempty"`
	Total  int    `json:"total,omitempty"`
	Unread string `json:"unread,omitempty"`
}

// room asks how much room the directory has for what a plan makes; nil where it makes nothing.
func (s *session) room(ctx context.Context, p *plan.Plan) (*roomDoc, error) {
	if len(guard.Makes(p)) == 0 {
		return nil, nil //nolint:nilnil // none is an answer
	}
	client, _, err := s.connect(ctx, s.settings.Capture.identitySettings, "capture")
	var answer graph.Response
	if err == nil {
		answer, err = client.Do(ctx, graph.Request{Version: "beta", Path: "/organization", Query: url.Values{"$select": {"id,directorySizeQuota"}}})
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("read how much room the directory has: %w", err)
	}
	if err != nil {
		return &roomDoc{Unread: err.Error()}, nil
	}
	var found struct {
		Value []struct {
			Quota *struct{ Used, Total *int } `json:"directorySizeQuota"`
		}
	}
	if err := json.Unmarshal(answer.Body, &found); err != nil {
		return &roomDoc{Unread: err.Error()}, nil
	}
	for _, o := range found.Value {
		if q := o.Quota; q != nil && q.Used != nil && q.Total != nil {
			return &roomDoc{Used: *q.Used, Total: *q.Total}, nil
		}
	}
	return &roomDoc{Unread: "the service does not say"}, nil
}
