# One command each. `make setup` installs; everything else calls it, and it costs nothing the second time.
# `make test-unit PYTHON=python3.12 VENV=.venv-3.12` tries another Python beside the one that `setup` took.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements.lock)

TRIALS ?= 10
SEED ?= 1
SECONDS ?= 600

unexport PYTHONDONTWRITEBYTECODE  # every process would compile the project anew

.PHONY: setup demo test test-unit test-long test-ops faults load fuzz fuzz-guided defences audit check format lock clean

setup: $(INSTALLED)

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "bulk_pipeline needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup        ## the whole way of a row, on sample files, with servers of its own
	$(BIN)/bulk-pipeline demo

# Three processes on two cores: one of them mostly waits for a stack.
test: setup        ## every test but the long campaigns
	$(BIN)/pytest -n 3 --dist loadgroup -m "not long and not debian"

test-unit: setup   ## the tests that need no server
	$(BIN)/pytest -n 3 --dist loadgroup -m "not long and not debian" bulk_pipeline_tests/unit

test-long: setup   ## the long campaigns
	$(BIN)/pytest -n 3 --dist loadgroup -m long --timeout 1800

test-ops: setup    ## a real Prometheus and a real pgbouncer: on the PATH, or fetched from Debian
	$(BIN)/pytest -m debian

faults: setup      ## faults in a running stack: TRIALS of them, with the seeds from SEED on; the log is .bulk/faults.jsonl
	$(BIN)/python -m bulk_pipeline_tests.faults --trials $(TRIALS) --seed $(SEED)

load: setup        ## 50 uploads a second for five minutes, beside large ones and exports; prints what it saw
	$(BIN)/python -m bulk_pipeline_tests.load

fuzz: setup        ## mutated files of every format, for SECONDS; what breaks something is kept in fuzz-found/
	$(BIN)/python -m bulk_pipeline_tests.unit.messy.fuzz --seconds $(SECONDS)

fuzz-guided: setup ## the same, led by what reaches new code (atheris, fetched for it)
	$(BIN)/uv run --quiet --no-project --python $(BIN)/python --with atheris==3.0.0 -- \
		python -m bulk_pipeline_tests.unit.messy.guided --seconds $(SECONDS)

defences: setup    ## takes each defence of SECURITY.md away and shows that its test notices
	$(BIN)/python -m bulk_pipeline_tests.defences

audit: setup       ## known holes in what is installed; fails if the service that knows them does not answer
	$(BIN)/uv tool run --from pip-audit==2.10.1 pip-audit --strict --require-hashes --disable-pip -r requirements.lock

check: setup       ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:              ## take the newest releases that pyproject.toml allows
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --upgrade --no-annotate --no-header \
		--python-version 3.11 --extra embedded --group dev pyproject.toml --output-file requirements.lock

clean:
	rm -rf $(VENV) .venv-* .bulk .pytest_cache .ruff_cache .hypothesis
