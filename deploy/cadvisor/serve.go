package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/google/cadvisor/lib/container"
	"github.com/google/cadvisor/lib/manager"
	"github.com/google/cadvisor/lib/metrics"
	"github.com/google/cadvisor/lib/model"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/utils/clock"
)

// included is what the exporter reads. Left out, since each costs a walk over /proc or sysfs per container
// for nothing: tcp, udp and advanced tcp tables, NUMA, huge pages, referenced memory, load, perf, resctrl.
var included = container.MetricSet{
	container.CpuUsageMetrics:         {},
	container.ProcessSchedulerMetrics: {},
	container.ProcessMetrics:          {},
	container.MemoryUsageMetrics:      {},
	container.NetworkUsageMetrics:     {},
	container.DiskIOMetrics:           {},
	container.OOMMetrics:              {},
	container.PressureMetrics:         {},
}

// keptLabels are the beginnings of the container labels that tell workload, tenant and opt-out.
var keptLabels = []string{"cpp.", "com.docker.compose.", "com.docker.swarm."}

// labels names a container as cAdvisor does, with the labels above and none of its environment.
func labels(c *model.ContainerInfo) map[string]string {
	set := metrics.BaseContainerLabels(nil)(c)
	for key, value := range c.Spec.Labels {
		for _, prefix := range keptLabels {
			if strings.HasPrefix(key, prefix) {
				set[metrics.ContainerLabelPrefix+key] = value
			}
		}
	}
	return set
}

func routes(m manager.Manager) http.Handler {
	newest := model.RequestOptions{IdType: model.TypeName, Count: 1, Recursive: true}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		metrics.NewPrometheusCollector(m, labels, included, clock.RealClock{}, newest),
		metrics.NewPrometheusMachineCollector(m, included),
	)
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	mux.HandleFunc("/-/healthy", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "healthy") })
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, `<html><title>cAdvisor</title><a href="/metrics">metrics</a></html>`)
	})
	return mux
}
