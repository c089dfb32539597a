# Two commands for a newcomer: `make demo` sees all of it work, `make test` runs every check.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint docs bench bench-check fuzz hostile load soak results audit sbom clean
demo: .venv/installed
	$(BIN)/kgclip demo --out demo

test: lint
	$(BIN)/pytest -n 2 --dist worksteal

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# Builds the docs site anew and checks its links; open site/index.html.
docs: .venv/installed-dev
	rm -rf site
	$(BIN)/python -m tools.docs_site site

# Writes docs/performance.md; run nothing else meanwhile. The check fails where a ratio has fallen by a fifth.
bench: .venv/installed-dev
	$(BIN)/python -m benchmarks

bench-check: .venv/installed-dev
	$(BIN)/python -m benchmarks --check

# Damages files for every reader (docs/reliability.md) for so many seconds in all, and writes docs/generated/fuzz.md.
SECONDS_OF_FUZZ ?= 600
fuzz: .venv/installed-dev
	$(PIP) --editable '.[fuzz]'
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS_OF_FUZZ) --write

# Asks the service for so many seconds (docs/reliability.md) and writes docs/generated/load.md; run nothing else meanwhile.
SECONDS_OF_LOAD ?= 600
load: .venv/installed-dev
	$(BIN)/python -m tools.load --seconds $(SECONDS_OF_LOAD) --write

# Gives every reader the files of tests/hostile, and writes docs/generated/hostile.md.
hostile: .venv/installed-dev
	$(BIN)/python -m tests.hostile --write

# Kills commands at random moments so many times in all, tries other faults of a machine (as root also full and read-only
# file systems in memory), and writes docs/generated/soak.md; takes a quarter of an hour.
KILLS ?= 60
soak: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.soak --kills $(KILLS) --write

# Runs every experiment and writes the tables of docs/results.md; docs/experiments.md says what the four files are.
RESULTS := results
JHMDB ?= jhmdb-tps
SQUEEZENET ?= squeezenet.safetensors
EFFICIENTNET ?= efficientnet.safetensors
SENTENCES ?= sentence-encoder
EXPERIMENTS := $(BIN)/python -m experiments all --text $(SENTENCES)
results: .venv/installed-dev
	$(EXPERIMENTS) --out $(RESULTS)/synthetic
	$(EXPERIMENTS) --out $(RESULTS)/squeezenet --data $(JHMDB) --folds 3 --features $(SQUEEZENET) --name "JHMDB-TPS, SqueezeNet"
	$(EXPERIMENTS) --out $(RESULTS)/efficientnet --data $(JHMDB) --folds 3 --features $(EFFICIENTNET) \
		--name "JHMDB-TPS, EfficientNet-lite0"
	$(BIN)/python -m experiments.pages $(RESULTS)/*

# Of a release; docs/release.md says what for.
audit: .venv/installed-dev
	$(BIN)/python -m tools.audit

sbom: .venv/installed-dev
	$(BIN)/python -m tools.sbom

clean:
	rm -rf .venv demo site

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(PIP) --editable '.[dev]'
	touch $@
