# Everything a contributor runs; `make help` lists it.
PYTHON ?= python3
PY := .venv/bin/python
WORKERS ?= 2
TREES := architect llm_providers integrations tests scripts benchmarks

.DEFAULT_GOAL := help
.PHONY: help run setup setup-dev check test test-unit test-e2e test-postgres test-long bench shots vendor clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

setup:
	@$(PYTHON) scripts/setup_env.py

setup-dev:
	@$(PYTHON) scripts/setup_env.py --dev

run: setup ## set everything up and start the product
	@exec $(PY) -m architect.supervisor

check: setup-dev ## format, lint, types, import contracts, templates, migrations
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy $(TREES)
	.venv/bin/lint-imports
	.venv/bin/djade --check $$(git ls-files 'templates/*.html')
	.venv/bin/djlint --lint --quiet templates
	$(PY) manage.py makemigrations --check --dry-run

test: setup-dev ## all tests but the slow ones, with coverage
	$(PY) -m pytest -n $(WORKERS) -m "not long" --cov --cov-report=term:skip-covered

test-unit: setup-dev ## without browsers and without processes that are killed
	$(PY) -m pytest -n $(WORKERS) -m "not long and not e2e" --ignore=tests/journeys --ignore=tests/chat/test_socket.py

test-e2e: setup-dev ## the browser journeys alone
	$(PY) -m pytest -n $(WORKERS) -m e2e

test-postgres: setup-dev ## the same tests on a PostgreSQL and a Redis of their own
	$(PY) scripts/with_services.py $(PY) -m pytest -n $(WORKERS) -m "not long"

test-long: setup-dev ## what is too slow for every run
	$(PY) -m pytest -m long

shots: setup-dev ## pictures of every page in var/shots, to be looked at
	$(PY) scripts/shots.py

bench: setup-dev ## figures: the client beside a direct call, and what a broken provider costs
	$(PY) -m benchmarks.client
	$(PY) -m benchmarks.failover
	$(PY) -m benchmarks.pages

vendor: setup-dev ## fetch the vendored files again and check their sums
	$(PY) scripts/vendor.py

clean: ## remove what can be made again; models/ and var/ stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage
