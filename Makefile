# make demo | demo-open | test | check | bench | docs | clean
PYTHON ?= python3
VENV := .venv
PEERS := .venv-peers
BIN := $(VENV)/bin
ROBOT_FOLDERS := $(wildcard suites resources tests/acceptance)

.DEFAULT_GOAL := help
.PHONY: help demo demo-open test check bench docs clean

help:
	@echo "make demo    show what it is, in half a minute, on the embedded demo lab; make demo-open opens the pages"
	@echo "make test    run all tests; as root it installs the servers that they need"
	@echo "make check   format, lint, types, structure"
	@echo "make bench   measure against peers"
	@echo "make docs    build the site with the documentation of all keywords, and check its links"
	@echo "make clean   remove what these made"

# A virtual environment is made once, and brought up to date when pyproject.toml changed.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[load,pabot]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $@ $(VENV)/.demo

$(PEERS)/.peers: pyproject.toml
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet otto-sh robotframework-sshlibrary asyncssh
	@touch $@

demo: $(VENV)/.demo
	@$(BIN)/python suites/demo/make_demo.py results/demo

demo-open: $(VENV)/.demo
	@$(BIN)/python suites/demo/make_demo.py --open results/demo

test: $(VENV)/.dev
	@$(BIN)/python -m tests.peers.requirements
	@$(BIN)/python -m pytest -n auto tests

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/robocop check $(ROBOT_FOLDERS)
	$(BIN)/python -m pytest -q tests/structure

bench: $(VENV)/.dev $(PEERS)/.peers
	PEERS_PYTHON=$(CURDIR)/$(PEERS)/bin/python $(BIN)/python -m tests.benchmarks

docs: $(VENV)/.dev
	$(BIN)/python docs/make_keywords.py
	$(BIN)/python -m zensical build --clean
	$(BIN)/python -m pytest -q tests/structure/test_site.py
	@echo "Site: $(CURDIR)/build/site/index.html"

clean:
	rm -rf $(VENV) $(PEERS) results build dist docs/keywords .hypothesis .mypy_cache .pytest_cache .robocop_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
