# Every target does all that a fresh machine needs, from the virtual environment on.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# Before pip, which is quiet.
SAY = echo "installing into $(VENV), which takes minutes; the first time pip downloads about 1 GB" >&2

TORCH_VENV := $(VENV)-torch
SERVICE_VENV := $(VENV)-service
RAY_VENV := $(VENV)-ray

# The packages whose docstrings have examples that run.
EXAMPLES := adabelief adadagrad whichopt/service whichopt/workers

.PHONY: demo up test test-journeys test-slow test-root test-browser test-sweep test-examples compose-rehearsal test-service-alone test-kernels test-torch gpu-check bench-guests workloads check docs reference screenshots format openapi vendor lock clean

demo: $(VENV)/.workers
	$(BIN)/whichopt demo

up: $(VENV)/.workers
	$(BIN)/whichopt up

test: $(VENV)/.dev
	$(BIN)/python -m pytest -q --doctest-modules $(EXAMPLES)
	$(BIN)/python -m pytest -n auto --dist worksteal --durations=25 -m "not slow and not root and not rehearsal and not alone and not examples and not journey and not sweep"

# Jobs through real processes to their ends: with kills, over REST, of a person's own data, layers and function.
test-journeys: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal --durations=10 -m journey

# What takes longer than the suite may: kernels compiled for every dtype, and the like.
test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow

# What mounts disks of its own; skipped for anybody but root.
test-root: $(VENV)/.dev
	$(BIN)/python -m pytest -m root

# Every page in every window, light and dark, in a real browser: nothing too wide, nothing that axe-core finds.
test-sweep: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal -m sweep tests/browser

# All tests of the pages in a real browser. `make test` has those that use them as a person does, and names them at its
# end if there is no browser. CHROMIUM names its program, if none on PATH is to be taken.
test-browser: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal tests/browser

# The services of docker-compose.yml as it says, in namespaces instead of Docker: from migrate to a recommendation.
compose-rehearsal: $(VENV)/.dev
	$(BIN)/python -m pytest -m rehearsal tests/rehearsal

# The API as `[service]` alone installs it, under files that are made to harm it, with two folders that it may write.
test-service-alone: $(VENV)/.dev $(SERVICE_VENV)/.service
	$(SERVICE_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall .
	rm -rf build
	$(BIN)/python -m pytest -m alone tests/rehearsal

# The optimizer's and the engine's tests by other kernels than this machine's own choice, one leg after the other.
test-kernels: $(VENV)/.dev
	$(BIN)/python -m tests.kernel_legs

# The optimizer and the engine by the oldest torch that pyproject.toml allows, in an environment of its own: on
# Linux a download of some gigabytes, so `make test` has a test of the names that torch lacked then instead.
test-torch: $(TORCH_VENV)/.dev
	$(TORCH_VENV)/bin/python -c 'import torch; print("torch", torch.__version__)'
	$(TORCH_VENV)/bin/python -m pytest -n 2 --dist worksteal -m "not slow" tests/adabelief tests/adadagrad \
		tests/workers/engine/test_solo.py tests/workers/engine/test_executors.py \
		tests/workers/engine/stacked/test_executor.py tests/workers/engine/stacked/test_optimizers.py

# Training functions with Lightning, transformers, peft and others, the examples as processes and the notebook, in
# an environment that has all that they import.
test-examples: $(VENV)/.examples
	$(BIN)/python -m pytest -n 2 --dist worksteal tests/examples tests/workers/guests/test_lightning.py \
		tests/workers/guests/test_transformers.py

# Needs a GPU; under five minutes, and writes benchmarks/results/gpu_check.md.
gpu-check: $(VENV)/.dev
	$(BIN)/python -m benchmarks.gpu_check

# What a person's own function costs, beside a plain Optuna loop and Ray Tune, in an environment of its own that has
# Ray; about six minutes, and writes benchmarks/results/guests.md.
bench-guests: $(RAY_VENV)/.ray
	$(RAY_VENV)/bin/python -m benchmarks.guests

# AdaBelief against SGD, Adam, AdamW and RAdam on images, texts, a GAN and a bowl: under two hours on two cores.
# What is done is kept in whichopt-data/workloads, so it may be interrupted; the tables go into docs/workloads.md.
workloads: $(VENV)/.dev
	$(BIN)/python -m benchmarks.workloads --docs docs/workloads.md

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose*.yml
	$(BIN)/hadolint Dockerfile

# The documentation as a site, in site/; every warning is an error.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

# The pages of docs/reference that follow from the code.
reference: $(VENV)/.dev
	$(BIN)/python -m docs.generate

# The pictures of the pages in README and docs, of jobs that are trained for them; needs Chromium.
screenshots: $(VENV)/.dev
	$(BIN)/python -m docs.screenshots

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The scripts of others that the pages serve, by the versions and hashes of tests/service/web/vendored.json.
vendor: $(VENV)/.dev
	$(BIN)/python -m tests.service.web.vendored

openapi: $(VENV)/.dev
	$(BIN)/python -m whichopt.service.app > tests/service/openapi.json

# What the lock says is what a fresh environment resolves to today, with torch held at 2.13.0.
lock:
	rm -rf $(VENV)-lock
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet torch==2.13.0 -e '.[local,dev,docs,examples]'
	$(VENV)-lock/bin/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' > constraints.txt
	rm -rf $(VENV)-lock

clean:
	rm -rf $(VENV) $(TORCH_VENV) $(SERVICE_VENV) $(RAY_VENV) $(VENV)-lock .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info build site

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "whichopt needs Python 3.11 or newer; say which with PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.workers: $(VENV)/bin/python pyproject.toml constraints.txt
	@$(SAY)
	$(PIP) -e '.[local]'
	touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	@$(SAY)
	$(PIP) -e '.[local,dev]'
	touch $@ $(VENV)/.workers

$(VENV)/.docs: $(VENV)/.dev
	@$(SAY)
	$(PIP) -e '.[docs]'
	touch $@

$(SERVICE_VENV)/.service: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(SERVICE_VENV)
	$(SERVICE_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt '.[service]'
	touch $@

$(RAY_VENV)/.ray: pyproject.toml constraints.txt
	@$(SAY)
	$(PYTHON) -m venv $(RAY_VENV)
	$(RAY_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[local,ray]'
	touch $@

$(VENV)/.examples: $(VENV)/.dev
	@$(SAY)
	$(PIP) -e '.[examples]'
	touch $@

# All as it is locked, but for torch.
$(TORCH_VENV)/.dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(TORCH_VENV)
	grep -v '^torch==' constraints.txt > $(TORCH_VENV)/constraints.txt
	oldest=$$(sed -nE 's/^ *"torch>=([0-9.]+).*/\1/p' pyproject.toml) && $(TORCH_VENV)/bin/python -m pip install \
		--quiet --disable-pip-version-check -c $(TORCH_VENV)/constraints.txt "torch==$$oldest.*" -e '.[local,dev]'
	touch $@
