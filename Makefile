PYTHON ?= python3
BIN := .venv/bin
PROCESSES ?= 2
# The tests of a file stay in one process, and share what they train on.
PYTEST := $(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --durations 20

.PHONY: quickstart test test-fast soak lint bench pictures clean

quickstart: .venv/installed  ## a search on the embedded data: a few minutes on two cores
	$(BIN)/ablatune search quickstart

test: .venv/installed-dev  ## shows that it works: about ten minutes on two cores
	$(PYTEST) -m "not soak"

test-fast: .venv/installed-dev  ## the tests that take no more than seconds
	$(PYTEST) -m "not slow and not soak"

soak: .venv/installed-dev  ## what takes long: many kills, many processes, three times the examples
	ABLATUNE_TEST_EXAMPLES=3 $(PYTEST) -m "soak or hypothesis"

lint: .venv/installed-dev  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/installed-bench  ## the quick forms of all benchmarks, on the embedded data or made-up curves
	for name in step epoch trial overhead precision plan efficiency; do $(BIN)/python -m benchmarks.$$name --quick || exit; done

pictures: .venv/installed  ## the README's pictures, from a real search; needs Chromium
	$(BIN)/python docs/pictures/make.py

clean:
	rm -rf .venv build dist

.venv/bin/python:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed: make PYTHON=...')"
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

.venv/installed-bench: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]"
	@touch $@
