package main

import (
	"fmt"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

var known = map[string]uintptr{"getppid": syscall.SYS_GETPPID, "gettid": syscall.SYS_GETTID, "getuid": syscall.SYS_GETUID}

func syscalls(arguments []string) {
	o := newOptions("syscalls")
	call := o.String("call", "getppid", "getppid, gettid or getuid: calls that the runtime itself does not make")
	rate := o.Float64("rate", 1000, "calls a second")
	until := o.parse(arguments)
	number, found := known[*call]
	if !found {
		die(fmt.Errorf("--call %s: only getppid, gettid and getuid are known", *call))
	}
	pace(*rate, until, func() {
		_, _, _ = syscall.RawSyscall(number, 0, 0, 0)
		count.Add(1)
	})
}

func opens(arguments []string) {
	o := newOptions("opens")
	rate := o.Float64("rate", 100, "opens a second")
	file := o.String("file", "/etc/hostname", "what to open")
	until := o.parse(arguments)
	pace(*rate, until, func() {
		descriptor, err := syscall.Open(*file, syscall.O_RDONLY, 0)
		die(err)
		die(syscall.Close(descriptor))
		count.Add(1)
	})
}

// threads holds n threads: goroutines locked to a thread that wait in the kernel, not in the scheduler.
func threads(arguments []string) {
	o := newOptions("threads")
	n := o.Int("n", 20, "how many threads to hold")
	until := o.parse(arguments)
	var ready sync.WaitGroup
	for range *n {
		ready.Add(1)
		go func() {
			runtime.LockOSThread()
			count.Add(1)
			ready.Done()
			rest := syscall.NsecToTimespec(int64(time.Until(until)))
			for syscall.Nanosleep(&rest, &rest) == syscall.EINTR {
			}
		}()
	}
	ready.Wait()
	time.Sleep(time.Until(until))
}

// spawn makes threads or processes that end at once.
func spawn(arguments []string) {
	o := newOptions("spawn")
	rate := o.Float64("rate", 10, "how many a second")
	processes := o.Bool("processes", false, "make processes in place of threads")
	until := o.parse(arguments)
	step := endThread
	if *processes {
		step = endProcess
	}
	pace(*rate, until, func() {
		step()
		count.Add(1)
	})
}

// endThread makes a thread and ends it: a goroutine that ends while locked takes its thread with it.
func endThread() {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		close(done)
	}()
	<-done
}

func endProcess() {
	die(exec.Command("/proc/self/exe", "exit").Run())
}
