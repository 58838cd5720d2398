package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// pidLimits are the files that hold the most tasks this container may have, by cgroup version.
var pidLimits = []string{"/sys/fs/cgroup/pids/pids.max", "/sys/fs/cgroup/pids.max"}

// forks is a fork bomb: processes that start others of their kind for as long as they live. It refuses to work where
// nothing bounds it.
func forks(arguments []string) {
	o := newOptions("forks")
	until := o.parse(arguments)
	if !pidsAreLimited() {
		die(fmt.Errorf("forks: the container has no limit of its processes; run it with --pids-limit"))
	}
	signal.Ignore(syscall.SIGCHLD) // the kernel collects the dead
	for time.Now().Before(until) {
		child := exec.Command("/proc/self/exe", "forks", "--for", time.Until(until).String())
		if child.Start() == nil {
			count.Add(1)
		}
		time.Sleep(time.Millisecond)
	}
}

func pidsAreLimited() bool {
	for _, file := range pidLimits {
		text, err := os.ReadFile(file)
		if err == nil && strings.TrimSpace(string(text)) != "max" {
			return true
		}
	}
	return false
}

// pairs makes every ordered pair of n calls that no kernel has, again and again: calls that do nothing.
func pairs(arguments []string) {
	o := newOptions("pairs")
	n := o.Int("n", 100, "how many different calls")
	until := o.parse(arguments)
	numbers := unknownCalls()
	if *n > len(numbers) {
		die(fmt.Errorf("--n %d: there are %d numbers without a call", *n, len(numbers)))
	}
	runtime.LockOSThread()
	for time.Now().Before(until) {
		for first := range *n {
			for second := range *n {
				_, _, _ = syscall.RawSyscall(numbers[first], 0, 0, 0)
				_, _, _ = syscall.RawSyscall(numbers[second], 0, 0, 0)
				count.Add(2)
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// unknownCalls are in the gap that all architectures leave below 424, and above the calls of any kernel so far.
func unknownCalls() []uintptr {
	var numbers []uintptr
	for number := uintptr(336); number < 424; number++ {
		numbers = append(numbers, number)
	}
	for number := uintptr(480); number < 511; number++ {
		numbers = append(numbers, number)
	}
	return numbers
}
