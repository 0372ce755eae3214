# Requires Python 3.11 or newer, git and make; everything else is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
export PYTHONDONTWRITEBYTECODE ?= 1

# MLflow server versions that cryptoml is tested with; each has a lock file in tests/compat.
SERVERS := 2.9 2.22 3

.PHONY: help setup airflow-setup compat-setup lint docs browser services test test-airflow quick demo bench bench-peers bench-features bench-forecasts bench-intervals bench-scale bench-dask fuzz faults truth lock lock-airflow lock-compat clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

# "sync", not "install": with the latter, the overrides in pyproject.toml would loosen the pins of the lock file.
setup: .venv/.stamp ## install the packages of the lock file into .venv

.venv/.stamp: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 3; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=.venv $(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes requirements.lock
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

airflow-setup: airflow/.venv/.stamp ## install Airflow into its own environment

airflow/.venv/.stamp: airflow/requirements.lock | setup
	test -x airflow/.venv/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python airflow/.venv
	VIRTUAL_ENV=airflow/.venv $(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes airflow/requirements.lock
	@touch $@

compat-setup: $(SERVERS:%=tests/compat/.venv-%/.stamp) ## install other versions of the MLflow server, each into its own environment

tests/compat/.venv-%/.stamp: tests/compat/mlflow-%.lock | setup
	test -x $(@D)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(@D)
	VIRTUAL_ENV=$(@D) $(BIN)/uv pip sync --quiet --require-hashes $<
	@touch $@

lint: setup ## style, types, layers, dependencies, vocabulary
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/python -m tools.vocabulary

docs: setup ## regenerate the reference pages in docs/
	$(BIN)/python -m tools.reference

# For Debian and Ubuntu; on other systems install Chromium and chromedriver manually.
browser: ## install a headless browser for the browser tests, if missing
	@command -v chromedriver >/dev/null || { \
	  command -v apt-get >/dev/null || { echo "Install Chromium and chromedriver: the tests of pages need them."; exit 3; }; \
	  run=; [ "$$(id -u)" = 0 ] || run=sudo; \
	  $$run apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$run apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null; }

services: ## install the database servers for the tests, if missing
	@{ command -v initdb || ls /usr/lib/postgresql/*/bin/initdb; } >/dev/null 2>&1 && { command -v mariadbd || test -x /usr/sbin/mariadbd; } >/dev/null || { \
	  command -v apt-get >/dev/null || { echo "Install PostgreSQL and MariaDB: the tests of database stores need them."; exit 3; }; \
	  run=; [ "$$(id -u)" = 0 ] || run=sudo; \
	  $$run apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$run apt-get install -y -qq --no-install-recommends postgresql mariadb-server >/dev/null; }

# More workers than cores, because many tests wait for a server or a timeout.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

test: lint browser services compat-setup ## run lint and all tests, Airflow's last
	$(BIN)/python -m pytest --ignore=tests/airflow --numprocesses $(WORKERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder --durations=40
	$(MAKE) test-airflow

test-airflow: airflow-setup ## test the DAGs on a real scheduler, dag-processor and api-server
	$(BIN)/python -m pytest tests/airflow --numprocesses 2 --dist loadgroup

quick: setup ## run the unit tests, which need no store and no server
	$(BIN)/python -m pytest tests/unit -q

demo: setup ## simulate candles and train four models, without account or network
	$(BIN)/cryptoml sample-data --symbol SIM --interval 1h --years 5 --signal 0.01 --seed 7 --force -o data/raw/sim.csv
	$(BIN)/cryptoml train --data data/raw/sim.csv --models rf,gbm,ridge,xgb

bench: setup ## compare the run time of a plain script and cryptoml train
	$(BIN)/python -m benchmarks.run --json .cryptoml/bench.json
	$(BIN)/python -m benchmarks.startup --json .cryptoml/bench-startup.json

fuzz: setup ## read 20,000 mutated files of candles
	FUZZ_CASES=20000 $(BIN)/python -m pytest -n auto --timeout 3600 tests/unit/data/test_candles_fuzz.py

bench-features: setup ## compare the time of features and of mlforecast's transforms
	$(BIN)/python -m benchmarks.features --json .cryptoml/bench-features.json

bench-forecasts: setup ## compare the skill of forecasts with those of skforecast and mlforecast, in .venv-forecasts
	$(BIN)/python -m benchmarks.forecasts

bench-intervals: setup ## compare prediction intervals with GARCH and conformal methods of other libraries, in .venv-intervals
	$(BIN)/python -m benchmarks.intervals

bench-scale: setup ## measure how train grows with the number of candles, up to 2.1 million
	$(BIN)/python -m benchmarks.scale --json .cryptoml/bench-scale.json

bench-dask: setup ## measure the throughput of train on a Dask cluster of this machine
	$(BIN)/python -m benchmarks.scale_out --json .cryptoml/bench-dask.json

bench-peers: setup ## compare the run time of PyCaret, in .venv-peers, and cryptoml train
	$(BIN)/python -m benchmarks.peers --json .cryptoml/bench-peers.json

# Another seed: make faults SEED=2. One case: python -m tests.faults.campaign --case sync:run-create:lost-reply:1:1
SEED ?= 1

faults: setup ## run 440 faults and kills; writes the tables of docs/reliability.md
	CRYPTOML_FULL=1 $(BIN)/python -m pytest tests/integration/test_promote.py tests/integration/test_store.py -k "at_once or one_by_one" --durations=5
	$(BIN)/python -m pytest tests/faults/test_at_once.py
	$(BIN)/python -m tests.faults.campaign --seed $(SEED) --faults 220 --kills 220 --json .cryptoml/faults.json --table docs/reliability.md

truth: setup ## test results on 2 x 100 simulated markets with known predictability (one hour)
	$(BIN)/python -m benchmarks.truth --markets 100

lock: ## resolve the latest versions into requirements.lock
	test -x $(BIN)/uv || { $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet uv; }
	$(BIN)/uv pip compile --universal --generate-hashes --group dev --extra postgres --extra mysql --extra s3 --extra dask --extra excel --upgrade \
	  --no-header --no-emit-index-url --no-emit-find-links --output-file requirements.lock pyproject.toml

# --no-config: the overrides in pyproject.toml are for the project's own packages only.
lock-airflow: ## the same for Airflow's environment
	$(BIN)/uv pip compile --no-config --universal --generate-hashes --upgrade --python-version 3.11 \
	  --no-header --no-emit-index-url --no-emit-find-links --output-file airflow/requirements.lock airflow/requirements.in

lock-compat: ## the same for the other versions of the MLflow server
	for version in $(SERVERS); do $(BIN)/uv pip compile --no-config --universal --generate-hashes --upgrade --python-version 3.11 \
	  --no-header --no-emit-index-url --no-emit-find-links --output-file tests/compat/mlflow-$$version.lock tests/compat/mlflow-$$version.in || exit; done

clean: ## remove the files that make and the demo created
	rm -rf .venv airflow/.venv tests/compat/.venv-* .cryptoml mlflow.db* mlartifacts data/raw/sim.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
