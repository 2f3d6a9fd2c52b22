# `make demo` and `make test` do all their own set-up; a second call starts at once.
PYTHON ?= python3
PIP_FLAGS ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check format clean

demo: $(READY)
	$(BIN)/labelweave demo

test: $(READY)
	$(BIN)/pytest -n 2

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The CPU build of torch comes first and alone, so that nothing else asks for the CUDA one.
# Where the package index gives CUDA builds on Linux, name an index of CPU wheels: PIP_FLAGS=...
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.version_info >= (3, 11) or sys.exit('labelweave needs Python 3.11 or newer, found ' + sys.version.split()[0])"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q $(PIP_FLAGS) -c constraints.txt torch numpy
	$(BIN)/python -m pip install -q $(PIP_FLAGS) -c constraints.txt -e '.[cases,dev]'
	touch $(READY)

clean:
	rm -rf $(VENV) build dist
