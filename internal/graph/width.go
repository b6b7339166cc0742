package graph

import (
	"math"
	"time"
)

// A width is how many requests to a service may be under way at once. It follows the time that they take (the gradient
// of Netflix's concurrency-limits, after TCP Vegas): it doubles with each round of answers until one takes longer than
// the best, and grows by its root from then on; it falls in proportion to how much longer they take, so that hardly more
// than its root is waiting within the service. At its least it takes what it sees for the best, since requests are not
// all alike.
type width struct {
	n, most float64
	best    time.Duration // that a round took in the mean
	mean    time.Duration // that the last one took
	since   time.Time     // when the round began
	answers int
	took    time.Duration // all of them
	slowed  bool          // a round took longer than the best
	filled  bool          // as many as may be were under way
}

const leastInFlight = 4

func newWidth(most int) width {
	return width{n: float64(min(leastInFlight, most)), most: float64(most)}
}

func (w *width) limit() int { return int(w.n) }

// answered notes an answer that took so long, to a request sent at a time, and how many were under way with it.
func (w *width) answered(now time.Time, took time.Duration, flying int, sent time.Time) {
	if sent.Before(w.since) {
		return // by another width
	}
	w.answers++
	w.took += took
	w.filled = w.filled || flying >= w.limit()
	if w.answers < w.limit() {
		return
	}
	w.mean = w.took / time.Duration(w.answers)
	if w.filled {
		if w.best == 0 || w.mean < w.best || w.n <= leastInFlight {
			w.best = w.mean
		}
		slower := 1.0
		if w.mean > w.best {
			slower = max(float64(w.best)/float64(w.mean), 0.5)
		}
		more := math.Sqrt(w.n)
		if w.slowed = w.slowed || slower < 0.9; !w.slowed {
			more = w.n
		}
		w.n = min(max(w.n*slower+more, min(leastInFlight, w.most)), w.most)
	}
	w.since, w.answers, w.took, w.filled = now, 0, 0, false
}
