# `make run` starts the server, `make test` checks everything; both prepare what is missing on this machine.
# The work is done by scripts/; here stand only the names and the order.
.DEFAULT_GOAL := help
.PHONY: help run check test lint engine image packs all-packs doctor bench lock clean venv venv-dev browser postgres
.NOTPARALLEL:
PYTHON := .venv/bin/python

help: ## Show these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: image ## Prepare this machine and start the server (settings: SCE_…, or a file .env)
	@exec $(PYTHON) app.py

check: venv-dev ## Check style, types and all tests that need neither an engine nor a browser
	@exec scripts/check

test: image all-packs venv-dev browser postgres lint ## Prepare this machine, then run all checks and tests against the real engine
	@exec $(PYTHON) -m pytest -n 2 --dist loadfile

lint: venv-dev ## Check style, types and the vendored libraries
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@PATH="$(CURDIR)/.venv/bin:$$PATH"; export PATH; npm run --silent vendor:check && npm run --silent bundle:check && npm run --silent check

engine: venv ## Make sure a container engine answers; start or install one
	@$(PYTHON) -m scripts.engine start

image: venv ## Make sure an engine answers and has the sandbox image, and the packs that SCE_PACKS names; build them
	@$(PYTHON) -m scripts.image

packs: image ## Add languages and libraries: make packs PACKS="scripts"
	@$(PYTHON) -m scripts.packs $(PACKS)

all-packs: image
	@$(PYTHON) -m scripts.packs --all

doctor: venv ## Show what the engine can do, and whether its limits really hold
	@$(PYTHON) -m sandbox.engine.doctor

bench: image venv-dev ## Measure latency and throughput
	@exec $(PYTHON) bench/run.py

lock: ## Write the lock files of the Python packages from the .in files
	@scripts/lock

clean: ## Remove the virtual environment, logs and caches (never images or the history)
	@rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv:
	@scripts/venv requirements.txt

venv-dev: venv
	@scripts/venv requirements-dev.txt

browser: venv-dev
	@$(PYTHON) -m scripts.browser

postgres: venv
	@$(PYTHON) -m scripts.postgres
