package main

import (
	"math"
	"net"
	"time"
)

func netServer(arguments []string) {
	o := newOptions("net-server")
	listen := o.String("listen", ":9000", "address")
	o.parse(arguments)
	listener, err := net.Listen("tcp", *listen)
	die(err)
	for {
		peer, err := listener.Accept()
		die(err)
		count.Add(1)
		go swallow(peer)
	}
}

func swallow(peer net.Conn) {
	defer peer.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := peer.Read(buffer)
		bytes.Add(int64(n))
		if err != nil {
			return
		}
	}
}

func netClient(arguments []string) {
	o := newOptions("net-client")
	to := o.String("to", "127.0.0.1:9000", "address of a net-server")
	rate := o.size("rate", 1<<20, "bytes a second")
	total := o.size("bytes", 0, "how much in all; 0: without end")
	until := o.parse(arguments)
	peer := dial(*to)
	const chunk = 16 << 10
	steps := int64(math.MaxInt64)
	if *total > 0 {
		steps = int64(*total) / chunk
	}
	buffer := make([]byte, chunk)
	paceUpTo(steps, float64(*rate)/chunk, until, func() {
		_, err := peer.Write(buffer)
		die(err)
		count.Add(1)
		bytes.Add(chunk)
	})
}

// dial waits for a server that is only starting.
func dial(to string) net.Conn {
	for attempt := 0; ; attempt++ {
		peer, err := net.Dial("tcp", to)
		if err == nil {
			return peer
		}
		if attempt == 50 {
			die(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// connects only knocks: a refused connection counts as well, since the kernel saw the call.
func connects(arguments []string) {
	o := newOptions("connects")
	to := o.String("to", "127.0.0.1:5432", "address; nobody need listen there")
	rate := o.Float64("rate", 10, "connections a second")
	until := o.parse(arguments)
	pace(*rate, until, func() {
		peer, err := net.DialTimeout("tcp", *to, time.Second)
		if err == nil {
			_ = peer.Close()
		}
		count.Add(1)
	})
}
