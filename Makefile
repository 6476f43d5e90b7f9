.DEFAULT_GOAL := help
.PHONY: help install hostile train test test-slow test-gpu gpu test-cluster check lint docs images serve-docs test-docs table2 table3 table4 wheel lock clean

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

help: ## list these targets
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("flowdeblur needs Python 3.11 or newer: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	@echo 'installing into .venv: a few minutes, the last of them without a line of output'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on --constraint constraints.txt --editable '.[dev]'
	touch $@

install: $(STAMP) ## make .venv with the pinned dependencies and this package, editable (some 2 GB with torch)

train: install ## train the default network on the embedded scenes: five minutes on two cores
	$(BIN)/python train.py

WORKERS ?= 2
test: install ## run the CPU tests, in WORKERS=2 processes of one thread
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-slow: install ## run the tests that take minutes
	$(BIN)/python -m pytest -m slow

test-gpu: install ## run the tests that need a CUDA device
	$(BIN)/python -m pytest -m gpu

DEVICE ?= cuda
MINUTES ?= 60
GPU_OUT ?= runs/gpu
gpu: install ## measure all that needs a GPU, for MINUTES=60, into GPU_OUT=runs/gpu; DEVICE=cpu tries it at tiny sizes
	$(BIN)/python -m benchmarks.gpu --device $(DEVICE) --minutes $(MINUTES) --out $(GPU_OUT)

test-cluster: install ## run jobs on a SLURM of two nodes on this machine; apt-get installs slurm-wlm if need be and possible
	sh tests/cluster/install.sh && $(BIN)/python -m pytest -m cluster tests/cluster || test $$? = 75

check: lint docs ## lint, format, words, types and the documentation site

lint: install ## lint, format, words and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell *.md conf docs src sweeps benchmarks tests
	$(BIN)/mypy

docs: install ## build the documentation site into build/site; its scripts for equations and diagrams come from npm, once
	$(BIN)/python docs/tools/vendor.py build/site-assets
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	$(BIN)/python docs/tools/check_links.py build/site

serve-docs: docs ## show the site at http://127.0.0.1:8000 and follow changes
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve

images: install ## draw the images of the documentation again; RUN=runs/ID and STRATA=FOLDER add those of training and the model card
	$(BIN)/python docs/tools/draw_images.py $(if $(RUN),--run $(RUN)) $(if $(STRATA),--strata $(STRATA))

test-docs: install ## run the examples and open the site in a browser, where chromium is installed
	$(BIN)/python -m pytest -m docs tests/docs

TABLE3 := proposed small svrnn nafnet nafnet_two_frames nafnet_22 dbn srn estrnn ovd deblurgan
table3: install ## time Table III's networks on this machine: minutes on two cores; slow ones by SLOW="nah dbcpenet"
	$(BIN)/flowdeblur benchmark network --models $(TABLE3) $(SLOW) --size 720 1280 --dtypes float32 bfloat16 --repetitions 3 --out runs/table3

TABLE4 := sweeps/table4.yaml --runs runs/table4 seed=0 trainer.max_steps=1200 trainer.val_check_interval=400 task.flow_first=300
table4: install ## train and tabulate the seven rows of Table IV: within half an hour on two cores
	$(BIN)/flowdeblur ablate run $(TABLE4) --jobs 2
	$(BIN)/flowdeblur ablate table $(TABLE4)
	$(BIN)/flowdeblur ablate table $(TABLE4) $(foreach suffix,md tex csv html,--out runs/table4/table.$(suffix))

TABLE2 := sweeps/table2.yaml --runs runs/table2
table2: install ## train the peers of Table II, ten minutes each, and tabulate them: two hours on two cores
	$(BIN)/flowdeblur ablate run $(TABLE2)
	$(BIN)/flowdeblur ablate table $(TABLE2) --published sweeps/published/table2.yaml --reference proposed $(foreach suffix,md tex csv html,--out runs/table2/table.$(suffix))
	test -e runs/table2/lesions/metrics.json || $(BIN)/flowdeblur lesion runs/table2/proposed-seed0 hydra.run.dir=runs/table2/lesions

SEED ?= 1
hostile: install ## feed a thousand damaged files and odd arguments to the commands: about ten minutes (SEED=1)
	$(BIN)/python -m benchmarks.hostile --seed $(SEED) --out benchmarks/results/hostile.md

wheel: install ## build a wheel, install it in a fresh environment and try its commands
	$(BIN)/python -m pytest -m slow tests/test_wheel.py

lock: install ## write what is installed to constraints.txt
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu//; s/+cu[0-9]*//' > constraints.txt

clean: ## delete the environment and everything built
	rm -rf .venv build dist examples-out .pytest_cache .mypy_cache .ruff_cache
