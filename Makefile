# demo, test, docs, bench, lab, pictures: each works on a fresh machine. They need Python 3.10 or newer, a C++ compiler, make and bash.
SHELL := bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PACKAGE_FILES := setup.py settings.ini pyproject.toml

.PHONY: demo check test docs lite bench lab outputs pictures clean help

help:
	@echo "make demo     a conversation of three turns with the demo model, in the terminal"
	@echo "make check    what can be told in seconds: names, types, modules in step with their notebooks"
	@echo "make test     make check, and all tests"
	@echo "make docs     the documentation site, in _docs/"
	@echo "make lite     the same, with pages that can be run where they are read"
	@echo "make bench    the speed of the chat, against llama.cpp itself (five to fifteen minutes, and 1 GB of disk)"
	@echo "make lab      the notebooks in JupyterLab"
	@echo "make outputs  runs the notebooks again and stores their outputs (for contributors)"
	@echo "make pictures takes the pictures of the pages again, in a real browser (for contributors)"
	@echo "make clean    removes what the above have installed"

demo: $(VENV)/.package
	@$(BIN)/python -m llama_nbchat.demo
	@echo "Now try it yourself, in a notebook: make lab"

check: $(VENV)/.dev
	$(BIN)/python -m tools.check

# One thread for each model, as many processes as there are cores, and the longest files first: see tests/conftest.py, which says how to try more than a part of all moments, too.
# nbdev-test runs the notebooks, but for the one that takes minutes: tests/test_notebooks.py runs all of them in a kernel, and compares the outputs.
test: export OMP_THREAD_LIMIT = 1
test: check
	PYTHONUNBUFFERED=1 $(BIN)/nbdev-test --do-print --skip-file-re demo_examination
	$(BIN)/python -m pytest -v --durations=15 --numprocesses=auto --dist=loadfile --no-loadscope-reorder

docs: $(VENV)/.dev
	$(BIN)/nbdev-export
	$(BIN)/python -m tools.stubs
	$(BIN)/python -m tools.site

lite: $(VENV)/.dev
	$(BIN)/nbdev-export
	$(BIN)/python -m tools.stubs
	$(BIN)/python -m tools.lite
	$(BIN)/python -m tools.site

bench: $(VENV)/.dev
	$(BIN)/python -m tools.benchmarks

lab: $(VENV)/.dev
	$(BIN)/jupyter lab nbs/index.ipynb

outputs: $(VENV)/.dev
	$(BIN)/nbdev-export
	$(BIN)/python -m tools.stubs
	$(BIN)/python -m tools.outputs
	$(BIN)/nbdev-clean

pictures: $(VENV)/.dev
	$(BIN)/python -m tools.pictures

# Installs $(1), and shows what pip is at. `make demo WHEELS=...` looks for a built package of llama.cpp in another index.
define install
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@WHEELS="$(WHEELS)" $(PYTHON) tools/install.py $(BIN)/python "$(1)"
endef

# A stamp for each set of packages: made again when the requirements change, and nothing to do otherwise.
$(VENV)/.package: $(PACKAGE_FILES)
	$(call install,.)
	@touch $@

$(VENV)/.dev: $(PACKAGE_FILES)
	$(call install,.[dev])
	@touch $@ $(VENV)/.package

clean:
	rm -rf $(VENV)
