package main

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

func reportCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:     "report KIND",
		Short:   "Evidence on paper: what the repository proves of itself",
		Example: "  tidemark report drill\n  tidemark report ids --restore 7 -o csv",
		Args:    takes(1, 1, "what to report: drill or ids"),
		RunE: func(_ *cobra.Command, args []string) error {
			return usage("there is no report %q; there are drill and ids", args[0])
		},
	}
	most := 20
	drill := &cobra.Command{
		Use:     "drill",
		Short:   "The last rehearsed restores, the newest first: when, of which snapshot, how long, and whether all came back",
		Example: "  tidemark report drill --last 5",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer s.close()
			docs, err := s.drills(c.Context(), most)
			if err != nil {
				return err
			}
			r := result{doc: docs, head: []string{"DRILL", "AT", "SNAPSHOT", "OBJECTS", "LINKS", "SECONDS", "EQUAL", "DIFFERENCES", "GAPS"}}
			for _, d := range docs {
				r.rows = append(r.rows, d)
			}
			r.cells = func(yield func([]string)) {
				for _, d := range docs {
					yield([]string{strconv.FormatInt(d.Number, 10), d.At.Format(time.RFC3339), strconv.FormatInt(d.Snapshot, 10), strconv.FormatInt(d.Objects, 10), strconv.FormatInt(d.Links, 10),
						strconv.FormatFloat(d.Seconds, 'f', 1, 64), map[bool]string{true: "yes", false: "NO"}[d.Equal], strconv.Itoa(len(d.Differences)), strconv.Itoa(len(d.Gaps))})
				}
			}
			return s.print(s.unlessEmpty(len(docs), "no restore has been rehearsed; tidemark drill does\n", r))
		},
	}
	drill.Flags().IntVar(&most, "last", most, "how many, at most")
	c.AddCommand(drill, newIDsCommand(e))
	return c
}
