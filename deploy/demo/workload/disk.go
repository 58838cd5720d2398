package main

import (
	"os"
	"syscall"
	"time"
	"unsafe"
)

type transfer struct {
	file               *string
	total, rate, block *size
	direct             *bool
	until              time.Time
}

func newTransfer(o options) transfer {
	return transfer{
		file:   o.String("file", "/data/file", "where; parents must exist"),
		total:  o.size("bytes", 64<<20, "how much in all"),
		rate:   o.size("rate", 8<<20, "bytes a second"),
		block:  o.size("block", 1<<20, "bytes of one call"),
		direct: o.Bool("direct", false, "past the page cache (O_DIRECT)"),
	}
}

func (t transfer) flags() int {
	if *t.direct {
		return syscall.O_DIRECT
	}
	return 0
}

// each moves one block after another at the rate, until all bytes are moved.
func (t transfer) each(move func()) {
	paceUpTo(int64(*t.total / *t.block), float64(*t.rate)/float64(*t.block), t.until, func() {
		move()
		count.Add(1)
		bytes.Add(int64(*t.block))
	})
}

// aligned is a buffer that begins at a page, as O_DIRECT demands.
func aligned(length int) []byte {
	page := os.Getpagesize()
	raw := make([]byte, length+page)
	begin := page - int(uintptr(unsafe.Pointer(&raw[0]))%uintptr(page))
	return raw[begin : begin+length]
}

func write(arguments []string) {
	o := newOptions("write")
	t := newTransfer(o)
	sync := o.Bool("fsync", false, "fsync after each block")
	t.until = o.parse(arguments)
	out, err := os.OpenFile(*t.file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|t.flags(), 0o600)
	die(err)
	buffer := aligned(int(*t.block))
	t.each(func() {
		_, err := out.Write(buffer)
		die(err)
		if *sync {
			die(out.Sync())
		}
	})
}

func read(arguments []string) {
	o := newOptions("read")
	t := newTransfer(o)
	t.until = o.parse(arguments)
	buffer := aligned(int(*t.block))
	prepare(t, buffer)
	in, err := os.OpenFile(*t.file, os.O_RDONLY|t.flags(), 0)
	die(err)
	t.each(func() {
		_, err := in.Read(buffer)
		die(err)
	})
}

// prepare writes the file once and waits until it is on the disk.
func prepare(t transfer, buffer []byte) {
	out, err := os.Create(*t.file)
	die(err)
	for range int64(*t.total / *t.block) {
		_, err := out.Write(buffer)
		die(err)
	}
	die(out.Sync())
	die(out.Close())
}
