# make demo   builds the demo shop, trains, exports, serves it and answers requests, then stops everything
# make test   lint, types and all tests
# make test-slow   the tests that take minutes
# make up     the demo shop, served until Ctrl-C
# make locks  what each image installs, with hashes (images/*/requirements.txt); after every change of a dependency
# make lint-k8s   checkov over what k8s/ renders, and over the Dockerfiles
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo
BUF := node_modules/.bin/buf

.PHONY: demo up test test-slow lint proto monitoring locks lint-k8s edge-config clean

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

test-slow: $(VENV)/installed
	$(BIN)/python -m pytest -m slow

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

# uv resolves for another platform than this one, and writes no registry's address.
TOOLS := build/tools
LOCK = SHOPFUSE_CORE="shopfuse @ file://$(CURDIR)" $(TOOLS)/bin/uv pip compile --quiet --no-cache -c constraints.txt --generate-hashes --no-annotate \
	--python-version 3.11 --python-platform x86_64-manylinux_2_36 --custom-compile-command 'make locks' \
	$(foreach name,shopfuse shopfuse-gateway shopfuse-exporters,--no-emit-package $(name))
$(TOOLS)/installed: Makefile
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
	touch $@

locks: $(TOOLS)/installed
	$(LOCK) images/build.in -o images/build.txt
	$(LOCK) pyproject.toml --extra store gateway/pyproject.toml -o images/gateway/requirements.txt
	$(LOCK) pyproject.toml --extra triton -o images/triton/requirements.txt
	$(LOCK) pyproject.toml --extra train --extra triton --extra store gateway/pyproject.toml exporters/pyproject.toml -o images/exporters/requirements.txt

# In an environment of its own: it pins what we pin otherwise.
build/checkov/installed: Makefile
	$(PYTHON) -m venv build/checkov
	build/checkov/bin/pip install --quiet --disable-pip-version-check checkov==3.3.30
	touch $@

lint-k8s: $(VENV)/installed build/checkov/installed
	rm -rf build/k8s && mkdir -p build/k8s
	for folder in k8s/overlays/* k8s/jobs/*; do \
		$(BIN)/kubectl kustomize $$folder > build/k8s/$$(basename $$folder).yaml || exit 1; done
	build/checkov/bin/checkov --config-file k8s/checkov.yaml --skip-download -d build/k8s -d images

EDGE := k8s/components/edge
edge-config: $(VENV)/installed
	$(BIN)/shopfuse edge config $(EDGE)/edge.toml --out $(EDGE)/envoy --found-at /etc/envoy

clean:
	rm -rf $(VENV) node_modules examples/node/node_modules examples/web/node_modules examples/java/build $(DEMO) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
