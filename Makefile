# Everything a fresh clone needs: `make train`, `make test`. Only Python >= 3.11 and make are expected.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# What `make train` passes on: make train ARGS="model=srgan scale=4"
ARGS ?= experiment=quickstart
TEST_ARGS ?=
# What `make models` passes on: make models MODELS="imdn rlfn times=false", make models MODELS=format=md
MODELS ?=
# Tests run in as many processes as there are cores, each with one thread.
WORKERS ?= auto
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install train test test-slow lint format lock benchmark notebooks datasets recipes models clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F '\t' '{printf "  make %-10s %s\n", $$1, $$2}'

# The lock holds hashes of every package, the build backend among them, and no host names.
$(STAMP): requirements.lock bootstrap.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "sr_lightning needs Python >= 3.11, $(PYTHON) is $$($(PYTHON) --version); say make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bootstrap.lock
	$(BIN)/python -m uv pip install --python $(BIN)/python --quiet --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m uv pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

install: $(STAMP)  ## create the virtual environment (VENV=.venv, PYTHON=python3)

train: $(STAMP)  ## train; ARGS="model=srgan scale=4", without them the quickstart
	$(BIN)/python train.py $(ARGS)

test: $(STAMP)  ## run the tests (TEST_ARGS="-k resume")
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) $(TEST_ARGS)

test-slow: $(STAMP)  ## run the tests that take longer than a minute
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) -m slow $(TEST_ARGS)

lint: $(STAMP)  ## check style, types, import contracts and the lock
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@! grep -nE '://|--(extra-)?index-url|--find-links' requirements.lock bootstrap.lock || \
		{ echo "the lock names a host; make lock writes it without"; exit 1; }

format: $(STAMP)  ## put the code into the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(STAMP)  ## write requirements.lock anew from pyproject.toml
	$(BIN)/python -m uv pip compile pyproject.toml --all-extras --universal --generate-hashes --no-header --no-annotate \
		--quiet --output-file requirements.lock
	echo uv | $(BIN)/python -m uv pip compile - --universal --generate-hashes --no-header --no-annotate \
		--quiet --output-file bootstrap.lock

benchmark: $(STAMP)  ## time a training step, the loader and a degradation against plain code, ten minutes
	$(BIN)/python benchmarks/step.py
	$(BIN)/python benchmarks/loader.py step=true
	$(BIN)/python benchmarks/degrade.py

notebooks: $(STAMP)  ## run the notebooks anew and keep their outputs, some minutes
	$(BIN)/python notebooks/execute.py

datasets: $(STAMP)  ## write docs/datasets.md anew from conf/data
	$(BIN)/python -m sr_lightning.data.datasets_page

recipes: $(STAMP)  ## write docs/recipes.md anew from conf/experiment
	$(BIN)/python -m sr_lightning.cli.recipes_page

models: $(STAMP)  ## show the networks side by side; MODELS=format=md writes docs/models.md anew
	$(BIN)/python -m sr_lightning models $(MODELS)

clean:  ## remove the virtual environment and caches; runs/ and data/ stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
