package main

import (
	"os"
	"syscall"
	"time"
)

// leak grows by mapping memory and touching each page, so that resident memory is exactly what was asked for
// and no collector gives any of it back.
func leak(arguments []string) {
	o := newOptions("leak")
	rate := o.size("rate", 2<<20, "bytes a second")
	start := o.size("start", 20<<20, "bytes at once")
	limit := o.size("max", 1<<30, "where it stops growing")
	until := o.parse(arguments)
	hold(int(*start))
	const steps = 10
	chunk := int64(*rate) / steps
	if chunk == 0 {
		return
	}
	paceUpTo((int64(*limit)-int64(*start))/chunk, steps, until, func() { hold(int(chunk)) })
}

func hold(length int) {
	if length == 0 {
		return
	}
	memory, err := syscall.Mmap(-1, 0, length, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	die(err)
	for i := 0; i < length; i += os.Getpagesize() {
		memory[i] = 1
	}
	count.Add(1)
	bytes.Add(int64(length))
}

// files holds n open descriptors beside the program's own.
func files(arguments []string) {
	o := newOptions("files")
	n := o.Int("n", 50, "how many files to hold open")
	until := o.parse(arguments)
	for range *n {
		_, err := syscall.Open("/proc/self/exe", syscall.O_RDONLY, 0)
		die(err)
		count.Add(1)
	}
	time.Sleep(time.Until(until))
}
