// Command workload is one small static program that behaves in known ways, so that what the system
// says about a container can be compared with what the container really did. The demo and the
// end-to-end tests run it in containers made from scratch.
//
//	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w -buildid=' -o workload .
//
// Usage: workload COMMAND [flags]. Sizes read 64MiB, 1GiB, 500kB; rates 2MiB/s; times 100ms, 60s.
//
//	cpu      --duty 0.4 --period 100ms --threads 1 --for 0s      CPU time per wall time, per thread, open loop
//	rhythm   --low 0.1 --high 0.6 --period 60s --high-for 20s    a duty that rises once each period; the period
//	         --threads 1 --align                                 begins with the high part (with --align, at
//	                                                             multiples of the period since the epoch)
//	spin     --threads 4                                         threads that never sleep
//	leak     --rate 2MiB/s --start 20MiB --max 1GiB              resident memory that only grows, then stays
//	syscalls --call getppid --rate 1000                          getppid, gettid or getuid at a steady rate
//	write    --file F --bytes 64MiB --rate 8MiB/s --block 1MiB   write, --direct (O_DIRECT) or --fsync (buffered,
//	         --direct | --fsync                                  fsync after each block), then wait
//	read     --file F --bytes 64MiB --rate 8MiB/s --block 1MiB   write the file first, then read it, --direct or
//	         --direct                                            from the page cache
//	net-server --listen :9000                                    swallow what arrives
//	net-client --to HOST:9000 --rate 1MiB/s --bytes 0            send at a steady rate (--bytes 0: without end)
//	connects --to HOST:PORT --rate 10                            connect and close at a steady rate
//	threads  --n 20                                              hold n threads beside the runtime's own
//	spawn    --rate 10 --processes                               make threads that end at once, or processes
//	files    --n 50                                              hold n open files
//	opens    --rate 100 --file /etc/hostname                     open and close at a steady rate
//	serve    --listen :8000 --duty-per-request 5ms               an HTTP service that burns CPU for each request
//	shop     --store HOST:6379 --lair HOST:3333 --release 1      an HTTP service that reads files, asks a store, logs,
//	                                                             and has a hole: /exploit/NAME runs an attack
//	visit    --to HOST:8000,HOST:8000 --rate 10                  ask such services at a steady rate
//	answer   --listen :8000 --memory 64MiB --touches 15000       fixed work for each byte that comes: reads of a large
//	         --file F --sync-every 1                             memory, now and then a page made safe on disk
//	ask      --to HOST:8000 --rate 40                            ask an answer service and print each latency
//	flood    --to HOST:9 --length 64 --threads 2                 small datagrams, as fast as it can
//	then     --pause 20s --command "/bin/program argument"       wait, and become another program
//	forks                                                        a fork bomb; only where a pids limit bounds it
//	pairs    --n 100                                             every ordered pair of n calls that no kernel has
//	sleep                                                        nothing, until told to stop
//	exit                                                         nothing, and end at once
//
// Every command takes --for: how long to work (0s: until told to stop); write, read and net-client with
// --bytes stop working when the bytes are done. After its work a command waits, so that the container's
// counters can still be read, and ends on SIGTERM or SIGINT. On a finished piece of work it prints one
// line of JSON: {"command":"write","count":64,"bytes":67108864,"seconds":8.0}. On SIGTERM it prints what it
// has done so far and exits 0. A wrong flag exits 2.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// tally is what a command has done; the numbers are what the kernel must have seen.
type tally struct {
	Command string  `json:"command"`
	Count   int64   `json:"count"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
}

var (
	count  atomic.Int64
	bytes  atomic.Int64
	report sync.Once
)

var commands = map[string]func([]string){
	"cpu": cpu, "rhythm": rhythm, "spin": spin, "leak": leak, "syscalls": syscalls,
	"write": write, "read": read, "net-server": netServer, "net-client": netClient, "connects": connects,
	"threads": threads, "spawn": spawn, "files": files, "opens": opens, "serve": serve, "shop": shop,
	"visit": visit, "answer": answer, "flood": flood, "then": then, "ask": ask, "sleep": idle,
	"forks": forks, "pairs": pairs,
	"exit": func([]string) { os.Exit(0) },
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: workload COMMAND [flags]; the commands are in the comment of main.go")
		os.Exit(2)
	}
	name, started := os.Args[1], time.Now()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		commands[name](os.Args[2:])
		tell(name, started)
	}()
	<-stop
	tell(name, started)
}

// tell prints the tally once: at the end of the work, or when told to stop before it.
func tell(name string, started time.Time) {
	report.Do(func() {
		line, _ := json.Marshal(tally{name, count.Load(), bytes.Load(), time.Since(started).Seconds()})
		fmt.Println(string(line))
	})
}

func idle([]string) { select {} }

func die(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "workload:", err)
		os.Exit(1)
	}
}
