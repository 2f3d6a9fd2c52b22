# Every target does its own set-up; a second call starts at once.
PYTHON ?= python3
PIP_FLAGS ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOWEST := .venv-lowest

# A file's tests stay in one process, so that its fixtures are made once; files in order, long ones first.
# One thread a process: two processes on two cores leave no core for more.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

# Where it is set, every process compiles all that it imports: twice the time of a start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: bench demo fuzz test test-all test-lowest check format docs house clean

demo: $(READY)
	$(BIN)/labelweave demo

test: $(READY)
	$(PYTEST) -m "not slow"

test-all: $(READY)
	$(PYTEST) --durations=20

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Broken and hostile inputs from a fixed seed, for ten minutes: what failed, by class.
fuzz: $(READY)
	$(BIN)/python -m benchmarks.fuzz.run --seconds 600

docs: $(READY)
	$(BIN)/python docs/generate.py
	$(BIN)/sphinx-build -q -W --keep-going -j 2 -b html docs build/docs

# Ratios of processor time over bare PyTorch loops and other ways to train, as tables and as JSON.
bench: $(READY)
	$(BIN)/python -m benchmarks.bench

house: $(READY)
	$(BIN)/python tools/house.py

# The oldest releases that pyproject.toml allows, of what it names itself. torch stays at the release
# of constraints.txt: on Linux an older one from the usual index is a CUDA build of gigabytes.
test-lowest: $(LOWEST)/.ready
	OMP_NUM_THREADS=1 $(LOWEST)/bin/pytest -n 2 --dist loadfile -m "not slow" tests/unit tests/integration/test_study.py

$(LOWEST)/.ready: pyproject.toml constraints.txt
	test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install -q $(PIP_FLAGS) uv
	$(LOWEST)/bin/uv pip compile -q --no-deps --no-header --no-annotate --resolution lowest-direct \
		--extra cases --extra text --extra track --extra tune --extra vision pyproject.toml \
		| grep -v '^torch==' > $(LOWEST)/lowest.txt
	grep '^torch==' constraints.txt >> $(LOWEST)/lowest.txt
	$(LOWEST)/bin/python -m pip install -q $(PIP_FLAGS) -c $(LOWEST)/lowest.txt torch numpy
	$(LOWEST)/bin/python -m pip install -q $(PIP_FLAGS) -c $(LOWEST)/lowest.txt -e '.[cases,dev]'
	touch $(LOWEST)/.ready

# Compiles what labelweave imports and nothing else: a quarter of the files that pip installs.
define IMPORT_ALL
import importlib, pkgutil, labelweave
for module in pkgutil.walk_packages(labelweave.__path__, 'labelweave.'):
    if not module.name.endswith('__main__'):
        importlib.import_module(module.name)
endef
export IMPORT_ALL

# The CPU build of torch comes first and alone, so that nothing else asks for the CUDA one.
# Where the package index gives CUDA builds on Linux, name an index of CPU wheels: PIP_FLAGS=...
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.version_info >= (3, 11) or sys.exit('labelweave needs Python 3.11 or newer, found ' + sys.version.split()[0])"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --no-compile $(PIP_FLAGS) -c constraints.txt torch numpy
	$(BIN)/python -m pip install -q --no-compile $(PIP_FLAGS) -c constraints.txt -e '.[cases,dev,docs]'
	$(BIN)/python -c "$$IMPORT_ALL"
	touch $(READY)

clean:
	rm -rf $(VENV) $(LOWEST) build dist docs/gallery
