# What people and CI run. Everything works from a fresh clone: each target sets up what it needs.
.DEFAULT_GOAL := help
.PHONY: help setup demo test quick chaos check up down images deploy upgrade teardown requirements clean
.SILENT:

# The virtual environment's commands and the Pulumi CLI, linked there by set-up.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Where this is set, each of a test run's many processes would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

TYPED := orchestrator fibservice bootstrap fibfactory_cli localcloud tools template_stack.py fibfactory.py \
	tests/simulation tests/chaos tests/safeguards tests/fakes tests/figures.py tests/waiting.py
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make requirements"

help: ## this list
	awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## find or make the virtual environment and the Pulumi CLI
	tools/setup.sh

demo: setup ## the main job on this machine: local cloud, platform, environments made, used, destroyed, swept
	python -m tools.demo

test: check ## every check and every test
	python -m pytest -n 4 --durations=10 $(ARGS)

quick: check ## the checks and the fast unit tests, in half a minute; the loop while you write (CONTRIBUTING.md)
	python -m pytest -n 2 -q -m "not slow" tests/unit $(ARGS)

chaos: setup ## everything that is promised, tried hard: about an hour; figures in bench/out/ (ARGS="--seeds 10000 crash-points")
	python -m tests.chaos.acceptance $(ARGS)

check: setup ## formatter, linter, types, import rules, with a table of the modules by layer
	ruff format --check --quiet . || { echo "format: run ruff format on these"; ruff format --check .; exit 1; }
	echo "format: ok"
	ruff check --quiet .
	echo "lint: ok"
	mypy --no-error-summary $(TYPED)
	echo "types: ok"
	python -m tools.import_rules
	echo "imports: ok"

up: setup ## the local cloud with the platform on it, left running
	python -m tools.local up

down: setup ## stop what `make up` started
	python -m tools.local down

images: setup ## both container images, their sizes and what fills them (ARGS=--machine-cli where the internet can't be reached)
	python -m tools.images $(ARGS)

deploy: setup ## the platform into your AWS account, after a look and a question (ARGS="--region eu-west-1"; docs/aws.md)
	python -m bootstrap deploy $(ARGS)

upgrade: setup ## bring the platform to this version of the code; it keeps its settings (ARGS="--default-ttl 6h")
	python -m bootstrap upgrade $(ARGS)

teardown: setup ## take the platform down (ARGS="--environments" with its environments, "--purge" with its state)
	python -m bootstrap destroy $(ARGS)

requirements: setup ## pin the requirements again (ARGS=--upgrade for newer versions)
	cd requirements && $(COMPILE) $(ARGS) dev.in --output-file dev.txt
	cd requirements && for part in orchestrator fibservice lambda; do \
		$(COMPILE) $(ARGS) --constraints dev.txt $$part.in --output-file $$part.txt || exit 1; done
	echo "requirements: pinned; run make setup for an environment with them"

clean: ## remove caches and the link to the virtual environment (its cache in ~/.cache/fibfactory stays)
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
	rm -f .venv
	echo "clean"
