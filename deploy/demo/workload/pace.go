package main

import (
	"fmt"
	"time"
)

// pace calls step at rate times a second until the end, in bursts of at most one tick. It is an open loop:
// what could not be done in time is done as soon as possible, so that the mean rate holds.
func pace(rate float64, until time.Time, step func()) {
	const tick = 10 * time.Millisecond
	mustBePositive(rate)
	started, done := time.Now(), 0.0
	for time.Now().Before(until) {
		for due := rate * time.Since(started).Seconds(); done+1 <= due; done++ {
			step()
		}
		wait := time.Duration((done + 1) / rate * float64(time.Second))
		time.Sleep(max(tick, wait-time.Since(started)))
	}
}

// paceUpTo is pace that also ends after a number of steps.
func paceUpTo(limit int64, rate float64, until time.Time, step func()) {
	mustBePositive(rate)
	started := time.Now()
	for done := int64(0); done < limit && time.Now().Before(until); done++ {
		time.Sleep(time.Until(started.Add(time.Duration(float64(done) / rate * float64(time.Second)))))
		step()
	}
}

func mustBePositive(rate float64) {
	if rate <= 0 {
		die(fmt.Errorf("a rate of %g never gets anything done", rate))
	}
}
