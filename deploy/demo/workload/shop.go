package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// shop is a service such as many are: for each request it reads a file, asks a store on another host, burns some
// CPU and writes to a log; on SIGHUP it reads its files again. It has a hole: /exploit/NAME runs an attack inside
// of its own process, as an injected program would.
func shop(arguments []string) {
	o := newOptions("shop")
	listen := o.String("listen", ":8000", "address")
	store := o.String("store", "127.0.0.1:6379", "address of a net-server that is asked at each request")
	lair := o.String("lair", "127.0.0.1:3333", "address that an intruder calls; nobody but he does")
	folder := o.String("data", "/data", "where its files and its log are")
	many := o.Int("files", 300, "how many files it has")
	cost := o.Duration("duty-per-request", time.Millisecond, "CPU time that a request costs")
	release := o.Int("release", 1, "2: the same service, somewhat rewritten")
	o.parse(arguments)
	s := site{*store, *folder, *cost, openLog(*folder)}
	makeFiles(*folder, *many)
	go s.reload()
	answer := s.buy
	if *release == 2 {
		answer = s.buyDifferently
	}
	http.HandleFunc("/", answer)
	http.HandleFunc("/exploit/", func(w http.ResponseWriter, r *http.Request) {
		attack := attacks[strings.TrimPrefix(r.URL.Path, "/exploit/")]
		if attack == nil {
			http.NotFound(w, r)
			return
		}
		go attack(*folder, *lair)
		_, _ = fmt.Fprintln(w, "done")
	})
	die(http.ListenAndServe(*listen, nil))
}

type site struct {
	store, folder string
	cost          time.Duration
	log           *os.File
}

func (s site) buy(w http.ResponseWriter, r *http.Request) {
	page, err := os.ReadFile(fileName(s.folder, int(count.Add(1))%10))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	s.ask(page[:64])
	s.work()
	_, _ = fmt.Fprintln(s.log, "sold")
	_, _ = w.Write(page[:128])
}

// buyDifferently does the same by other calls: it maps the file's folder, syncs its log and looks at the machine.
func (s site) buyDifferently(w http.ResponseWriter, _ *http.Request) {
	names, err := os.ReadDir(filepath.Join(s.folder, "files"))
	die(err)
	var disk syscall.Statfs_t
	die(syscall.Statfs(s.folder, &disk))
	s.ask([]byte(names[0].Name()))
	s.work()
	_, _ = fmt.Fprintln(s.log, "sold", disk.Bfree)
	_ = s.log.Sync()
	count.Add(1)
	_, _ = fmt.Fprintln(w, "sold")
}

func (s site) ask(question []byte) {
	peer, err := net.DialTimeout("tcp", s.store, time.Second)
	if err != nil {
		return
	}
	_, _ = peer.Write(question)
	_ = peer.Close()
}

func (s site) work() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	burn(threadTime() + s.cost)
}

func (s site) reload() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGHUP)
	for range told {
		names, _ := filepath.Glob(filepath.Join(s.folder, "files", "*"))
		for _, name := range names {
			_, _ = os.ReadFile(name)
		}
	}
}

func openLog(folder string) *os.File {
	log, err := os.OpenFile(filepath.Join(folder, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	die(err)
	return log
}

func makeFiles(folder string, many int) {
	die(os.MkdirAll(filepath.Join(folder, "files"), 0o700))
	for i := range many {
		die(os.WriteFile(fileName(folder, i), make([]byte, 4096), 0o600))
	}
}

func fileName(folder string, i int) string {
	return filepath.Join(folder, "files", fmt.Sprintf("item-%04d", i))
}

// visit asks services for a page at a steady rate, each visit on a connection of its own.
func visit(arguments []string) {
	o := newOptions("visit")
	to := o.String("to", "127.0.0.1:8000", "addresses, with commas between")
	rate := o.Float64("rate", 10, "visits a second to each")
	until := o.parse(arguments)
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for _, address := range strings.Split(*to, ",") {
		go pace(*rate, until, func() {
			answer, err := client.Get("http://" + address + "/")
			if err == nil {
				_ = answer.Body.Close()
				count.Add(1)
			}
		})
	}
	time.Sleep(time.Until(until))
}
