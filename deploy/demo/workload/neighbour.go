package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// answer is a service of fixed work: for each byte that comes it reads from a large memory and now and then
// makes a small write safe on disk, then answers with a byte. What its neighbours take shows in its latency.
func answer(arguments []string) {
	o := newOptions("answer")
	listen := o.String("listen", ":8000", "address")
	memory := o.size("memory", 64<<20, "how much is read from")
	touches := o.Int("touches", 15000, "lines of memory read for each request, at places that follow from each other")
	file := o.String("file", "/tmp/log", "what is written to")
	every := o.Int("sync-every", 1, "requests for one write of a page that is made safe on disk; 0: none")
	o.parse(arguments)
	log, err := os.OpenFile(*file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	die(err)
	listener, err := net.Listen("tcp", *listen)
	die(err)
	held := make([]uint64, int(*memory)/8)
	for i := range held {
		held[i] = uint64(i) * 0x9e3779b97f4a7c15
	}
	for {
		peer, err := listener.Accept()
		die(err)
		go answerOne(peer, func() {
			chase(held, *touches)
			if n := count.Add(1); *every > 0 && n%int64(*every) == 0 {
				keep(log, n/int64(*every))
			}
		})
	}
}

func answerOne(peer net.Conn, work func()) {
	defer peer.Close()
	word := make([]byte, 1)
	for {
		if _, err := io.ReadFull(peer, word); err != nil {
			return
		}
		work()
		if _, err := peer.Write(word); err != nil {
			return
		}
	}
}

// chase reads lines of memory; where the next one is follows from what this one holds.
func chase(held []uint64, touches int) {
	at := uint64(touches)
	for range touches {
		at = at*6364136223846793005 + held[(at>>32)%uint64(len(held))]
	}
	held[0] = at
}

// keep adds a page to the file, and waits until it is on the disk; after 1024 pages the file begins anew.
func keep(log *os.File, n int64) {
	if n%1024 == 0 {
		die(log.Truncate(0))
	}
	_, err := log.WriteAt(make([]byte, 4096), n%1024*4096)
	die(err)
	die(syscall.Fdatasync(int(log.Fd())))
}

// flood sends small datagrams as fast as it can; nobody need take them.
func flood(arguments []string) {
	o := newOptions("flood")
	to := o.String("to", "127.0.0.1:9", "where to")
	length := o.Int("length", 64, "bytes of a datagram")
	n := o.Int("threads", 2, "how many threads send")
	until := o.parse(arguments)
	runtime.GOMAXPROCS(*n + 1)
	onThreads(*n, func() {
		peer, err := net.Dial("udp", *to)
		die(err)
		buffer := make([]byte, *length)
		for time.Now().Before(until) {
			for range 100 {
				// A refusal that came back for an earlier one is told here; the next one goes out all the same.
				if _, err := peer.Write(buffer); err == nil {
					count.Add(1)
					bytes.Add(int64(*length))
				}
			}
		}
	})
}

// then waits, and becomes another program: a container that has long been there and begins to disturb.
func then(arguments []string) {
	o := newOptions("then")
	pause := o.Duration("pause", 20*time.Second, "how long to wait before")
	command := o.String("command", "", "the program and its arguments, one blank between two")
	o.parse(arguments)
	time.Sleep(*pause)
	words := strings.Split(*command, " ")
	die(syscall.Exec(words[0], words, os.Environ()))
}

// ask sends one byte after another to an answer service, at a steady rate, and prints for each when it was due
// (seconds since the epoch) and how many seconds later the answer had come.
func ask(arguments []string) {
	o := newOptions("ask")
	to := o.String("to", "127.0.0.1:8000", "address of an answer service")
	rate := o.Float64("rate", 40, "requests a second")
	until := o.parse(arguments)
	peer, word := dial(*to), make([]byte, 1)
	mustBePositive(*rate)
	started := time.Now()
	for n := 0; time.Now().Before(until); n++ {
		due := started.Add(time.Duration(float64(n) / *rate * float64(time.Second)))
		time.Sleep(time.Until(due))
		_, err := peer.Write(word)
		if err == nil {
			_, err = io.ReadFull(peer, word)
		}
		if err != nil {
			return
		}
		fmt.Printf("%.4f %.5f\n", float64(due.UnixNano())/1e9, time.Since(due).Seconds())
	}
}
