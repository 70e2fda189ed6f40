# Everything works in a virtual environment of its own, on a Python that is "externally managed" and as root or not.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
UV = $(BIN)/uv
STAMP = $(VENV)/.installed

.PHONY: demo test netfs lint bench soak docs real-parts clean

# uv is quicker; where it fails, pip may still find its way, for it reads pip.conf: a company's index or certificates.
$(STAMP): pyproject.toml setup.py requirements-dev.txt $(wildcard mltrack/observe/preload*.[ch])
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	    echo "mltrack needs Python 3.10 or newer, and $(PYTHON) is not: make PYTHON=/path/to/python3 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	    echo "$(PYTHON) cannot make virtual environments: install python3-venv (Debian, Ubuntu), or" >&2; \
	    echo "name another one: make PYTHON=/path/to/python3 ..." >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@test -x $(UV) || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.txt || \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --config-settings editable_mode=compat --editable . || \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	        --config-settings editable_mode=compat --editable .
	@$(BIN)/python -m compileall -q mltrack
	@touch $@

demo: $(STAMP)            ## the main job, told step by step on real data
	$(BIN)/mltrack demo

test: $(STAMP)            ## the whole suite
	$(BIN)/python -m pytest -n auto -q tests

netfs: $(STAMP)           ## the tests on real network filesystems, which boot a machine
	MLTRACK_NETFS=1 $(BIN)/python -m pytest -q tests/netfs

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)           ## every hot path beside its limit, in one run
	$(BIN)/python -m tests.benchmarks

soak: $(STAMP)            ## the long counts
	MLTRACK_SOAK=10 $(BIN)/python -m pytest -n auto -q tests

docs: $(STAMP)            ## write the generated parts of the reference again
	$(BIN)/python tools/reference.py

real-parts:               ## the system parts that some tests need, on Debian
	sh tools/real-parts.sh

clean:
	rm -rf $(VENV) .coverage* .mypy_cache .ruff_cache .hypothesis
