# `make setup` installs everything; all other targets call it, and it does nothing the second time.
# `make test-unit PYTHON=python3.12 VENV=.venv-3.12` uses another Python in a separate environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements.lock)

TRIALS ?= 10
SEED ?= 1
SEEDS ?= 2
SECONDS ?= 600
EXAMPLES ?= 50

unexport PYTHONDONTWRITEBYTECODE  # otherwise every process compiles the project again

.PHONY: help setup demo test test-one test-unit test-long test-ops faults load bombs fuzz fuzz-guided reference schemathesis defences docs screenshots \
	audit check format lock clean

setup: $(INSTALLED) ## create the virtual environment

help:              ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | sort | while IFS="$$(printf '\t')" read -r name text; \
		do printf '%-14s %s\n' "$$name" "$$text"; done

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "bulk_pipeline needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup        ## import sample files on a separate stack, and check every row
	$(BIN)/bulk-pipeline demo

# Three processes on two cores, because one of them mostly waits for a stack.
test: setup        ## run all tests except the long campaigns
	$(BIN)/pytest -n 3 --dist loadgroup -m "not long and not debian"

test-one: setup    ## run the tests in T: a file, a test, or options of pytest
	$(BIN)/pytest -n 0 -s $(T)

test-unit: setup   ## run the tests that need no server
	$(BIN)/pytest -n 3 --dist loadgroup -m "not long and not debian" bulk_pipeline_tests/unit

test-long: setup   ## run the long campaigns with SEEDS seeds each (with 2, a quarter of an hour)
	SEEDS=$(SEEDS) $(BIN)/pytest -n 3 --dist loadgroup -m long --timeout 1800

test-ops: setup    ## test with a real Prometheus and pgbouncer: on the PATH, or fetched from Debian
	$(BIN)/pytest -m debian

faults: setup      ## inject TRIALS faults into a running stack, with seeds from SEED on; the log is .bulk/faults.jsonl
	$(BIN)/python -m bulk_pipeline_tests.faults --trials $(TRIALS) --seed $(SEED)

load: setup        ## send 50 uploads a second for five minutes, with large ones and exports; print the results
	$(BIN)/python -m bulk_pipeline_tests.load

bombs: setup       ## import hostile files of every format on a running stack, and print their cost; ONLY=regex selects by name
	$(BIN)/python -m bulk_pipeline_tests.bombs --only "$(ONLY)"

fuzz: setup        ## read mutated files of every format for SECONDS; inputs that fail or cost too much go to fuzz-found/
	$(BIN)/python -m bulk_pipeline_tests.unit.messy.fuzz --seconds $(SECONDS)

fuzz-guided: setup ## the same, guided by code coverage (with atheris, which is fetched)
	$(BIN)/uv run --quiet --no-project --python $(BIN)/python --with atheris==3.0.0 -- \
		python -m bulk_pipeline_tests.unit.messy.guided --seconds $(SECONDS)

reference: setup   ## generate docs/reference/messages.md and the tables of docs/rows.md from the code
	$(BIN)/python -m bulk_pipeline_tests.reference

schemathesis: setup ## send requests generated from the OpenAPI document to the API of the running stack; EXAMPLES per call
	$(BIN)/python -m bulk_pipeline_tests.conformance --max-examples $(EXAMPLES)

docs: setup        ## build the documentation as a site in site/ (with mkdocs-material and mermaid, which are fetched)
	NO_MKDOCS_2_WARNING=1 $(BIN)/uv tool run --quiet --from mkdocs==1.6.1 --with mkdocs-material==9.8.2 \
		mkdocs build --strict --quiet --config-file .mkdocs.yml
	curl -fsS https://registry.npmjs.org/mermaid/-/mermaid-12.3.0.tgz | tar -xzO package/dist/mermaid.min.js > site/assets/mermaid.min.js

screenshots: setup ## take the pictures of docs/images from a running stack, with Debian's Chromium (and playwright, which is fetched)
	$(BIN)/uv run --quiet --no-project --python $(BIN)/python --with playwright==1.65.2 -- \
		python -m bulk_pipeline_tests.screenshots $(BIN)/bulk-pipeline

defences: setup    ## disable each defence of SECURITY.md in turn, and check that its test fails
	$(BIN)/python -m bulk_pipeline_tests.defences

audit: setup       ## check dependencies for known vulnerabilities; fails if the vulnerability service does not answer
	$(BIN)/uv tool run --from pip-audit==2.10.1 pip-audit --strict --require-hashes --disable-pip -r requirements.lock

check: setup       ## check format, lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:              ## update the lock file to the newest releases that pyproject.toml allows
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --upgrade --no-annotate --no-header \
		--python-version 3.11 --extra embedded --extra notify --group dev pyproject.toml --output-file requirements.lock

clean:             ## remove the virtual environment and the caches of tools
	rm -rf $(VENV) .venv-* .bulk .pytest_cache .ruff_cache .hypothesis
