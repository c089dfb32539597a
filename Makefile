# Two commands for a newcomer: `make demo` sees all of it work, `make test` runs every check.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint bench bench-check clean
demo: .venv/installed
	$(BIN)/kgclip demo --out demo

test: lint
	$(BIN)/pytest -n 2 --dist worksteal

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# Writes docs/performance.md; run nothing else meanwhile. The check fails where a ratio has fallen by a fifth.
bench: .venv/installed-dev
	$(BIN)/python -m benchmarks.table

bench-check: .venv/installed-dev
	$(BIN)/python -m benchmarks.table --check

clean:
	rm -rf .venv demo

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(PIP) --editable '.[dev]'
	touch $@
