# Everything a newcomer needs; `make help` lists it. Results and logs are under build/.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv/bin
KEEP ?=
# The lanes of tests/kubernetes run side by side; the other tests time more, and run one by one on a quiet machine.
ALONE := tests/unit tests/integration tests/e2e
LANES := tests/kubernetes --numprocesses=auto --dist=loadfile
export PYTHONDONTWRITEBYTECODE := 1
# A plain su keeps a PATH without them; Docker's daemon calls iptables, Debian's tools call ldconfig.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin
.DEFAULT_GOAL := help
.PHONY: help setup setup-tests demo demo-down test test-kubernetes checks pytest lint format bench bench-forecast bench-cold-start bench-behaviour bench-kubernetes docs

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install or build what the demo needs (a few minutes the first time)
	@$(PYTHON) -m deploy.setup

setup-tests:
	@$(PYTHON) -m deploy.setup --for-tests --for-kubernetes

demo: setup ## show the whole path on real containers (KEEP=1 leaves it running)
	@$(VENV)/python -m deploy.demo up $(if $(KEEP),--keep)

demo-down: ## remove what `make demo KEEP=1` left running
	@$(if $(wildcard $(VENV)/python),$(VENV)/python,$(PYTHON)) -m deploy.demo down

test: setup-tests checks pytest ## all checks and tests, the real stack and a real cluster included

checks: ## style, types and layers
	$(VENV)/ruff check
	$(VENV)/ruff format --check
	$(VENV)/mypy
	$(VENV)/lint-imports

pytest: ## all tests: unit, integration, end to end, on real clusters (PYTEST_ARGS="tests/e2e -k truth" for some)
	@$(PYTHON) -m deploy.setup --start-engine tests
	@status=0; \
	$(if $(PYTEST_ARGS),$(VENV)/python -m pytest $(PYTEST_ARGS) || status=$$?, \
	  $(VENV)/python -m pytest $(ALONE) || status=$$?; $(VENV)/python -m pytest $(LANES) || status=$$?); \
	$(PYTHON) -m deploy.setup --stop-engine tests; exit $$status

test-kubernetes: setup-tests ## the tests on real clusters of two nodes (builds Kubernetes the first time)
	@$(PYTHON) -m deploy.setup --start-engine tests
	@status=0; $(VENV)/python -m pytest $(LANES) $(PYTEST_ARGS) || status=$$?; \
	$(PYTHON) -m deploy.setup --stop-engine tests; exit $$status

lint: setup checks ## the checks alone

format: ## put the sources into the project's form
	$(VENV)/ruff check --fix
	$(VENV)/ruff format

bench: setup ## measure against peers; lines of JSON
	@status=0; for file in $(filter-out %/bench_forecast.py %/bench_cold_start.py %/bench_behaviour.py %/bench_kubernetes.py,$(wildcard tests/bench/bench_*.py)); do $(VENV)/python $$file || status=$$?; done; exit $$status

bench-forecast: setup ## measure the forecast against peers (hours; BENCH_ARGS="--series 8 --budget 60" for less)
	@OPENBLAS_NUM_THREADS=1 nice -n 19 $(VENV)/python tests/bench/bench_forecast.py $(BENCH_ARGS)

bench-cold-start: setup ## measure a fresh replica's forecast; needs the recordings (minutes; BENCH_ARGS="--noise 0.01")
	@OPENBLAS_NUM_THREADS=1 nice -n 19 $(VENV)/python tests/bench/bench_cold_start.py $(BENCH_ARGS)

bench-behaviour: setup-tests ## measure anomaly, risk, leaks, live interference and the probe's cost (BENCH_ARGS="--parts leaks" for one)
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 nice -n 19 $(VENV)/python tests/bench/bench_behaviour.py $(BENCH_ARGS)

bench-kubernetes: ## plan a thousand alerts about a simulated cluster of 500 nodes and 5,000 pods (minutes)
	@$(PYTHON) -m deploy.setup --for-kubernetes
	@$(VENV)/python tests/bench/bench_kubernetes.py

docs: setup ## write the generated pages anew
	$(VENV)/python -m exporter.publish.docs docs
