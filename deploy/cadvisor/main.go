// Command cadvisor serves cAdvisor's container metrics, and only those that cpp-exporter reads. It is for hosts
// where no cAdvisor runs and no image registry is at hand; where one runs, use that one.
//
//	go build -trimpath -o cadvisor . && ./cadvisor --listen 127.0.0.1:8080
//
// Flags: --listen, --housekeeping-interval (how often each container is read), --docker-only (leave out the
// cgroups of services that run outside Docker). The library's own flags are accepted too (--docker, --containerd).
package main

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"time"

	_ "github.com/google/cadvisor/container/docker/install"
	"github.com/google/cadvisor/lib/cache/memory"
	_ "github.com/google/cadvisor/lib/container/containerd/install"
	"github.com/google/cadvisor/lib/manager"
	"github.com/google/cadvisor/lib/utils/sysfs"
	"k8s.io/klog/v2"
)

// kept is how long samples stay in memory: only the newest is served, so a few intervals are plenty.
const kept = 30 * time.Second

type settings struct {
	listen       string
	housekeeping time.Duration
	dockerOnly   bool
}

func main() {
	var s settings
	flag.StringVar(&s.listen, "listen", "127.0.0.1:8080", "address to serve on")
	flag.DurationVar(&s.housekeeping, "housekeeping-interval", time.Second, "how often each container is read")
	flag.BoolVar(&s.dockerOnly, "docker-only", false, "only Docker's containers and the machine itself")
	flag.Parse()
	if err := run(s); err != nil {
		klog.Exit(err)
	}
}

func run(s settings) error {
	if s.housekeeping <= 0 {
		return errors.New("--housekeeping-interval must be longer than nothing")
	}
	m, err := newManager(s)
	if err != nil {
		return err
	}
	server := &http.Server{Addr: s.listen, Handler: routes(m), ReadHeaderTimeout: 10 * time.Second}
	return fmt.Errorf("%w (another address: --listen)", server.ListenAndServe())
}

func newManager(s settings) (manager.Manager, error) {
	dynamic := false // a container that rests must not be read more rarely: forecasts want a steady grid
	pace := manager.HousekeepingConfig{Interval: &s.housekeeping, AllowDynamic: &dynamic}
	var prefixes []string
	if s.dockerOnly {
		prefixes = []string{"/docker"}
	}
	m, err := manager.New(memory.New(kept, nil), sysfs.NewRealSysFs(), pace, included, prefixes, nil, "", 0)
	if err != nil {
		return nil, err
	}
	return m, m.Start()
}
