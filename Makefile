# Sets up and runs everything; needs Python 3.11 or newer and nothing else.
# Finished steps leave a stamp in .venv that depends on the lock files; an interrupted one leaves none.
# What is built or fetched for the agent itself is in the user's cache, and is got while pip installs.

VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/runtime.stamp
DEV := $(VENV)/dev.stamp
AUDIT := $(VENV)/audit.stamp
# A person sees pip's bars, a log does not.
QUIET := $(shell [ -t 2 ] || echo --quiet)
INSTALL := -m pip install $(QUIET) --disable-pip-version-check --no-deps --require-hashes
PIP := $(BIN)/python $(INSTALL)
UV_COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate

.PHONY: help run test dev traces docs lint format types audit sbom lock clean set-up
.DELETE_ON_ERROR:
# It says that all packages are there, which stays true if something else cannot be got.
.PRECIOUS: $(RUNTIME)
.NOTPARALLEL:

help:
	@echo 'make run     the agent in a room on this machine; no key, no account'
	@echo 'make set-up  what make run needs, without running it'
	@echo 'make test    all tests (ARGS="-k name" for some)'
	@echo 'make dev     what tests, benches and simulations need'
	@echo 'make traces  what sends traces to OpenTelemetry (docs/observing.md)'
	@echo 'make docs    the site of docs/, in site/'
	@echo 'make lint    style; make format fixes what can be fixed'
	@echo 'make types   static types'
	@echo 'make audit   known vulnerabilities of what the lock files name; make sbom: its bill of materials'
	@echo 'make lock    new lock files (needs uv and npm)'
	@echo 'make clean   removes .venv and caches in this folder'

# For these, the first installation also gets what is not a package, at the same time.
run test set-up: ALSO := --playground

run: set-up
	@exec $(BIN)/python runner.py $(ARGS)

test: $(DEV) set-up
	@echo '== tests'
	@$(BIN)/python -m tests $(ARGS)

dev: $(DEV)

traces: $(RUNTIME)
	@echo '== packages of requirements-traces.lock'
	@$(PIP) -r requirements-traces.lock

# Packages that are there already take a second or two. A warning is an error, and none hides another.
docs: $(RUNTIME)
	@echo '== packages of requirements-traces.lock and requirements-docs.lock'
	@$(PIP) -r requirements-traces.lock
	@$(PIP) -r requirements-docs.lock
	@echo '== site'
	@rm -rf site
	@$(BIN)/python -m sphinx -W --keep-going --quiet -c docs . site
	@echo 'site/index.html'

lint: $(DEV)
	@echo '== style'
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(DEV)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(DEV)
	@echo '== types'
	@$(BIN)/mypy .

audit: $(AUDIT)
	@echo '== known vulnerabilities'
	@$(VENV)/audit/bin/python .ci/audit.py

sbom:
	@python=$$(sh .ci/python "$(PYTHON)") || exit 1; "$$python" .ci/sbom.py > sbom.cdx.json
	@echo 'sbom.cdx.json'

# Done when a LiveKit server, the page's livekit-client and a model are on PATH or in the user's cache.
set-up: $(RUNTIME)
	@$(BIN)/python -m playground.set_up $(ALSO)

# Always from an empty environment: what a stopped or older installation left behind is not trusted.
$(RUNTIME): requirements.lock playground/set_up/early.lock
	@python=$$(sh .ci/python "$(PYTHON)") || exit 1; \
	echo "== Python environment in $(VENV), from $$python"; \
	"$$python" -m venv --clear $(VENV)
	@touch $(VENV)/unfinished
	@$(PIP) --quiet -r playground/set_up/early.lock
	@$(BIN)/python -m playground.set_up --packages requirements.lock --stamp $@ $(ALSO)

# Until it is complete, the environment counts as not made at all.
$(DEV): $(RUNTIME) requirements-dev.lock requirements-traces.lock requirements-docs.lock
	@echo '== packages of requirements-dev.lock, requirements-traces.lock and requirements-docs.lock'
	@mv $(RUNTIME) $(RUNTIME).waiting
	@$(PIP) -r requirements-dev.lock
	@$(PIP) -r requirements-traces.lock
	@$(PIP) -r requirements-docs.lock
	@mv $(RUNTIME).waiting $(RUNTIME)
	@touch $@

# The looking up has an environment of its own: nothing of it is among what is looked up.
$(AUDIT): $(RUNTIME) .ci/audit.lock
	@echo '== packages of .ci/audit.lock'
	@$(BIN)/python -m venv --clear $(VENV)/audit
	@$(VENV)/audit/bin/python $(INSTALL) -r .ci/audit.lock
	@touch $@

lock:
	@command -v uv >/dev/null || { echo 'make lock needs uv: python3 -m pip install uv'; exit 1; }
	$(UV_COMPILE) pyproject.toml -o requirements-serve.lock
	$(UV_COMPILE) pyproject.toml --extra playground --no-emit-package pip -o requirements.lock
	$(UV_COMPILE) pyproject.toml --extra playground --group dev --no-emit-package pip -o requirements-dev.lock
	$(UV_COMPILE) --no-config -c requirements-dev.lock --group pyproject.toml:traces -o requirements-traces.lock
	$(UV_COMPILE) --no-config -c requirements.lock playground/set_up/early.in -o playground/set_up/early.lock
	$(UV_COMPILE) --no-config -c requirements-dev.lock -c requirements-traces.lock --group pyproject.toml:docs -o requirements-docs.lock
	$(UV_COMPILE) playground/livekit_build/toolchain.in -o playground/livekit_build/toolchain.lock
	$(UV_COMPILE) playground/page_build/toolchain.in -o playground/page_build/toolchain.lock
	$(UV_COMPILE) --no-deps playground/turn_model/wheel.in -o playground/turn_model/wheel.lock
	$(UV_COMPILE) --no-config .ci/audit.in -o .ci/audit.lock
	for recipe in playground/page_build tests/page/axe; do \
		(cd $$recipe && npm install --package-lock-only --ignore-scripts --omit=peer \
			--omit-lockfile-registry-resolved --no-audit --no-fund) || exit 1; \
	done

clean:
	rm -rf $(VENV) site .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
