# make demo   builds the demo shop, trains, exports, serves it and answers requests, then stops everything
# make test   lint, types and all tests
# make up     the demo shop, served until Ctrl-C
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo
BUF := node_modules/.bin/buf

.PHONY: demo up test lint proto monitoring clean

# SHOPFUSE_CORE: the gateway and the exporters use this checkout's shopfuse, which the same command installs.
$(VENV)/installed: pyproject.toml gateway/pyproject.toml exporters/pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	SHOPFUSE_CORE=shopfuse $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt \
		-e '.[dev]' -e ./gateway -e ./exporters
	touch $@

# --no-save keeps registry addresses out of the repository.
$(BUF): Makefile
	npm install --prefix . --silent --no-save --no-package-lock --no-audit --no-fund @bufbuild/buf@1.75.0
	touch $@

demo: $(VENV)/installed
	$(BIN)/shopfuse demo --workspace $(DEMO)

up: $(VENV)/installed
	$(BIN)/shopfuse demo --workspace $(DEMO) --stay

test: lint
	$(BIN)/python -m pytest -n auto --no-loadscope-reorder

lint: $(VENV)/installed $(BUF)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BUF) lint protos
	$(BIN)/mypy

monitoring: $(VENV)/installed
	$(BIN)/python -m monitoring.render

proto: $(VENV)/installed
	$(BIN)/python protos/generate.py

clean:
	rm -rf $(VENV) node_modules examples/node/node_modules $(DEMO) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
