# What a person or a machine types here. Needs make and Python 3.11 or newer, nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install -c constraints.txt
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help venv demo test lint test-long test-compat bench bench-server bench-exports bench-checkpoints bench-bots bench-views bench-stages bench-large bench-huge bench-full bench-peers picture fastread clean

help:
	@echo "make demo         chat with a real model on this machine, in two processes"
	@echo "make test         install what tests need, and pass all of them"
	@echo "make lint         ruff, mypy, import contracts"
	@echo "make test-long    trials that take minutes"
	@echo "make test-compat  other frameworks"
	@echo "make bench        measure convostore, sqlite3 and PostgreSQL by hand and the peers, minutes"
	@echo "make bench-server the part of it about PostgreSQL alone, a minute"
	@echo "make bench-exports how fast each format is written, and in how much memory"
	@echo "make bench-checkpoints how large a thread of LangGraph gets, ours and its own"
	@echo "make bench-bots   what a message through a bot costs beside its model"
	@echo "make bench-views  what choosing what a model is sent costs, in a long conversation"
	@echo "make bench-stages where the time of a turn, an append and a delta goes"
	@echo "make bench-large  the part of it about stores of a million messages, half an hour"
	@echo "make bench-huge   the part of it about ten million messages, two hours, 35 GB of disk"
	@echo "make bench-full   the same with more of everything, hours"
	@echo "make bench-peers  install the peers, each in an environment of its own"
	@echo "make picture      docs/terminal.svg and docs/history.svg, from real runs"
	@echo "make fastread     the statements of the quick reading, from those of the full one"
	@echo "make clean        remove what was made, the virtual environment too"

venv: $(BIN)/.dev

demo: $(BIN)/.demo
	$(BIN)/python examples/demo.py

test: lint
	$(BIN)/python -m convostore.providers.local_model > /dev/null
	$(BIN)/python -m pytest -q --tb=short -n $(WORKERS)

lint: $(BIN)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-long: $(BIN)/.dev
	CONVOSTORE_TEST_TIMES=1 $(BIN)/python -m pytest -q -o faulthandler_timeout=0 -m "long or timed"

test-compat: $(BIN)/.dev
	$(BIN)/python -m pytest -q -o faulthandler_timeout=0 -m compat

bench: bench-peers
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks --readme

bench-server: $(BIN)/.dev
	$(BIN)/python -m benchmarks --results benchmarks/results/server --only append-1-server \
		--only append-64-server --only turn-1-server --only turn-64-server
	$(BIN)/python -m benchmarks --results benchmarks/results/server --readme

bench-exports: $(BIN)/.dev
	$(BIN)/python -m benchmarks.exports --mb 10 --mb 600 --out benchmarks/results/exports.md

bench-checkpoints: $(BIN)/.dev
	$(BIN)/python -m benchmarks.checkpoints

bench-bots: $(BIN)/.dev
	$(BIN)/python -m benchmarks.bots --out benchmarks/results/bots.md

bench-views: $(BIN)/.dev
	$(BIN)/python -m benchmarks.views

bench-stages: $(BIN)/.dev
	$(BIN)/python -m benchmarks.stages --out benchmarks/results/stages.md

bench-large: $(BIN)/.dev
	$(BIN)/python -m benchmarks --full --results benchmarks/results/large --only library \
		--only ones --only newest-few --only grow-10

bench-huge: $(BIN)/.dev
	$(BIN)/python -m benchmarks --full --results benchmarks/results/huge --only huge \
		--only newest-few

bench-full: bench-peers
	$(BIN)/python -m benchmarks --full
	$(BIN)/python -m benchmarks --readme

bench-peers: $(BIN)/.dev
	$(BIN)/python -m benchmarks --peers

picture: $(BIN)/.demo
	$(BIN)/python examples/demo.py --picture docs/terminal.svg
	$(BIN)/python examples/history.py --picture docs/history.svg

fastread: $(BIN)/.dev
	$(BIN)/python -m convostore.storage.generate_fastread

clean:
	rm -rf $(VENV) .demo .bench build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "convostore needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2> /dev/null || \
		{ echo "this Python has no venv module; on Debian: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# One stamp for each set of packages: they are installed once, and again when the lists change.
$(BIN)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[local,chat]'
	@touch $@

$(BIN)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[local,chat,postgres,dev]'
	@touch $@ $(BIN)/.demo
