# Everything that a person or CI calls. `make help` lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory

# Some machines keep Python from storing what it has compiled; the tests start it hundreds of times.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
PYTHON := $(VENV)/bin/python
RUN := $(VENV)/bin

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.installed: pyproject.toml uv.lock tools/uv
	@tools/uv sync --frozen --quiet
	@touch $@

.PHONY: install
install: $(VENV)/.installed ## Make .venv with the project and its tools, from the lock file

.PHONY: format
format: install ## Format and sort imports
	@$(RUN)/ruff check --fix-only --quiet . && $(RUN)/ruff format --quiet .

.PHONY: lint
lint: install ## Format, lint, types and layers
	@$(RUN)/ruff format --check --quiet . || { echo "some files are not formatted: run 'make format'"; exit 1; }
	@$(RUN)/ruff check --quiet .
	@$(RUN)/mypy
	@$(RUN)/lint-imports --no-cache | tail -n 4

.PHONY: unit
unit: install ## Unit tests: no cluster, no database
	@$(RUN)/pytest -q -n 2 tests/unit

.PHONY: check
check: lint unit ## What to run before each commit: format, lint, types, layers, unit tests (under a minute)

.PHONY: test-postgres
test-postgres: install ## Tests against a real PostgreSQL, 15 and then 18, started by the tests
	@# What is about 18 in any case is left to its turn; the documents' commands are the same on both.
	@$(RUN)/pytest -q -n 2 --postgres=15 tests/postgres --ignore=tests/postgres/test_embedded.py --ignore=tests/postgres/test_newest.py
	@$(RUN)/pytest -q -n 2 --postgres=18 tests/postgres --ignore=tests/postgres/test_documents.py

.PHONY: test-e2e
test-e2e: cluster image postgres-image ## Tests on a real cluster (kind) with a real PostgreSQL in it
	@# They wait most of the time, so several at once; then those that have to be alone.
	@$(RUN)/pytest --tb=short -n 3 --dist loadfile -m "not alone" tests/e2e
	@$(RUN)/pytest --tb=short -m alone tests/e2e

.PHONY: test-chaos
test-chaos: install ## Tests on a control plane alone (etcd, API server, controllers), which they stop, freeze and kill
	@$(RUN)/pytest --tb=short tests/chaos

.PHONY: test-clusters
test-clusters: # One after the other: both would be at the same cores at once.
	@$(MAKE) test-e2e
	@$(MAKE) test-chaos

.PHONY: test
test: check cluster image postgres-image ## Everything: check, PostgreSQL, cluster, control plane
	@echo "PostgreSQL's tests and the clusters' go side by side, since the latter wait most of the time (usually 15 min)."
	@$(MAKE) --jobs=2 --output-sync=target test-postgres test-clusters

.PHONY: cluster
cluster: install ## Bring up kind: 35 s when its node image is there, about 15 min on a bare machine without container registries
	@$(PYTHON) -m tests.cluster up

.PHONY: cluster-down
cluster-down: install ## Take the cluster down and leave nothing running
	@$(PYTHON) -m tests.cluster down

.PHONY: image
image: install ## Build the operator's image and print its size
	@$(PYTHON) -m tests.cluster image

.PHONY: postgres-image
postgres-image: install ## Build (or pull) the PostgreSQL image of the demo and the tests
	@$(PYTHON) -m tests.cluster postgres-image

.PHONY: manifests
manifests: install ## Write what is made from the models and the chart: CRD, values' schema and table, manifests/, snapshots
	@$(RUN)/trending crd > manifests/crd.yaml
	@cp manifests/crd.yaml charts/trending-operator/files/crd.yaml
	@$(PYTHON) -m tools.chart_values
	@$(PYTHON) -m tests.charts.rendering

.PHONY: docs
docs: install ## Build the documents' site into build/site, strictly: no broken link, no page in no navigation
	@NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build

.PHONY: docs-reference
docs-reference: install ## Write the documents' pages that are made from the models and the commands
	@$(PYTHON) -m documents

.PHONY: pictures
pictures: install ## Draw the pictures of the documents anew: what `kubectl trending` looks like
	@$(PYTHON) -m demo.pictures

.PHONY: bench
bench: install ## Measure the engine on a PostgreSQL of its own: tables, and JSON below bench/results (some hours)
	@$(PYTHON) -m bench

.PHONY: demo
demo: install ## Cluster, image, PostgreSQL, sample data, operator, examples: the whole path, live
	@$(PYTHON) -m demo
