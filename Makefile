# Everything is made under .venv; the log and the database are under .tickledger and are never touched from here.
# Another Python: make setup PYTHON=/path/to/python3.12

SUITABLE = import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(or $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c '$(SUITABLE)' >/dev/null 2>&1 && echo $$p && break; done),python3)
RUN = .venv/bin/python -P -m
ARGS ?=

.PHONY: help setup demo test chaos-day check bench docs clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

setup:  ## what the demo needs: packages, Kafka's jars, compiled kernels (repeated in seconds)
	@$(call set_up,)

demo: setup  ## a real broker, a real database and one real day of EURUSD (ARGS=--once: verify it and end)
	@$(RUN) api.cli demo $(ARGS)

test:  ## all tests, with branch coverage (ARGS='tests/unit -k chain --no-cov' for some)
	@$(call set_up,test)
	@$(RUN) pytest -m 'not day' --hypothesis-profile=ci -n 4 --cov --cov-report=term --cov-fail-under=90 $(ARGS)

chaos-day:  ## what surrounds a day fails, then 50 busiest hours with every process killed (ARGS='--runs 3 --seed 7')
	@$(call set_up,test)
	@$(RUN) pytest -m day tests/e2e
	@$(RUN) tests.e2e.chaos $(ARGS)

check:  ## lint, format, types, who may import whom
	@$(call set_up,check)
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	.venv/bin/lint-imports

bench: setup  ## the benchmarks (ARGS=codec for one of them)
	@$(RUN) api.cli bench $(or $(ARGS),all)

docs:  ## the documentation, as docs/_build/html/index.html
	@$(call set_up,docs)
	$(RUN) sphinx -W --keep-going -q -b html docs docs/_build/html

clean:  ## forget set-up and what tests and tools left
	rm -rf .venv .coverage .coverage.* htmlcov docs/_build docs/_generated \
		.pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

set_up = command -v $(PYTHON) >/dev/null 2>&1 || { echo 'error: no Python was found: install Python 3.11, 3.12 or 3.13,' \
	'or name one: make setup PYTHON=/path/to/python3' >&2; exit 2; }; $(PYTHON) -I scripts/setup.py $(1)
