package main

import (
	"fmt"
	"net/http"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

const clockThreadCPU = 3 // CLOCK_THREAD_CPUTIME_ID, which package syscall does not name

// threadTime is the CPU time that the calling thread has used; the caller must be locked to its thread.
func threadTime() time.Duration {
	var now syscall.Timespec
	_, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockThreadCPU, uintptr(unsafe.Pointer(&now)), 0)
	if errno != 0 {
		die(errno)
	}
	return time.Duration(now.Nano())
}

// burn uses CPU until the thread has used as much as it should have in all.
func burn(target time.Duration) {
	for threadTime() < target {
		for range 20000 {
		}
	}
}

// keepDuty makes the calling thread use duty(now) of each period. It is an open loop: demand that a
// throttle or a neighbour held up stays owed and is burnt as soon as the kernel lets it.
func keepDuty(duty func(time.Time) float64, period time.Duration, until time.Time) {
	runtime.LockOSThread()
	owed := threadTime()
	for begin := time.Now(); begin.Before(until); begin = begin.Add(period) {
		time.Sleep(time.Until(begin))
		owed += time.Duration(duty(begin) * float64(period))
		burn(owed)
	}
}

func onThreads(n int, work func()) {
	for range n - 1 {
		go work()
	}
	work()
}

func cpu(arguments []string) {
	o := newOptions("cpu")
	duty := o.Float64("duty", 0.4, "CPU time per wall time, of each thread")
	period := o.Duration("period", 100*time.Millisecond, "how often the thread works")
	n := o.Int("threads", 1, "how many threads do so")
	until := o.parse(arguments)
	onThreads(*n, func() { keepDuty(func(time.Time) float64 { return *duty }, *period, until) })
}

func rhythm(arguments []string) {
	o := newOptions("rhythm")
	low := o.Float64("low", 0.1, "duty in the quiet part")
	high := o.Float64("high", 0.6, "duty in the busy part")
	period := o.Duration("period", time.Minute, "from one rise to the next")
	highFor := o.Duration("high-for", 20*time.Second, "how long the busy part is")
	n := o.Int("threads", 1, "how many threads do so")
	align := o.Bool("align", false, "periods begin at multiples of the period since the epoch")
	until := o.parse(arguments)
	origin := time.Now()
	if *align {
		origin = time.Unix(0, 0)
	}
	duty := func(now time.Time) float64 {
		if now.Sub(origin)%*period < *highFor {
			return *high
		}
		return *low
	}
	onThreads(*n, func() { keepDuty(duty, 100*time.Millisecond, until) })
}

func spin(arguments []string) {
	o := newOptions("spin")
	n := o.Int("threads", 4, "how many threads never sleep")
	until := o.parse(arguments)
	runtime.GOMAXPROCS(*n + 1)
	onThreads(*n, func() {
		for time.Now().Before(until) {
			burn(threadTime() + 10*time.Millisecond)
		}
	})
}

func serve(arguments []string) {
	o := newOptions("serve")
	listen := o.String("listen", ":8000", "address")
	cost := o.Duration("duty-per-request", 5*time.Millisecond, "CPU time that a request costs")
	o.parse(arguments)
	die(http.ListenAndServe(*listen, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		burn(threadTime() + *cost)
		count.Add(1)
		_, _ = fmt.Fprintln(w, "done")
	})))
}
