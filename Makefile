# Common tasks. Uses .venv where there is one, else the programs on PATH.
BIN := $(if $(wildcard .venv/bin/python),.venv/bin/)
FAST := tests/unit tests/wire

.DEFAULT_GOAL := help
.PHONY: help check fast test lint types coverage docs lowest

help: ## show the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1\t\2/' | expand -t 16

check: lint types fast ## lint, format check, types, fast tests: run it before you commit

fast: ## the fast tests: unit and wire
	$(BIN)python -m pytest -q $(FAST)

test: ## the whole suite, with real Locust runs
	$(BIN)python -m pytest

lint: ## ruff: rules and format
	$(BIN)ruff check .
	$(BIN)ruff format --check .

types: ## mypy, strict
	$(BIN)mypy

coverage: ## branch coverage of the unit tests, the engine's native thread included
	bash .ci/coverage

docs: ## generate the docs that are made from the code
	$(BIN)python -m tests.support.generate_docs

lowest: ## the fast tests with the lowest dependencies that pyproject.toml admits
	bash .ci/lowest
