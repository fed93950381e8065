# Everything runs in .venv; uv installs with hard links, so that a second environment takes seconds and no disk.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Compiled once here: where Python may not keep bytecode (PYTHONDONTWRITEBYTECODE, as in many containers), every stage
# would compile torch again, 4 to 8 s of its start.
INSTALL := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python \
	--constraint constraints.txt --build-constraint constraints.txt --editable

.PHONY: install repro crossval declare predict-demo app test test-slow audit compare ui help clean

install: .venv/.installed  ## make .venv with everything that the pipeline needs

.venv/.installed: pyproject.toml constraints.txt
	@git rev-parse --git-dir > /dev/null 2>&1 || \
		{ echo "this folder is no git repository, which DVC needs: clone it, or run git init here" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	$(INSTALL) .
	touch $@

.venv/.installed-dev: .venv/.installed
	$(INSTALL) '.[dev]'
	touch $@

.venv/.installed-app: .venv/.installed
	$(INSTALL) '.[app]'
	touch $@

repro: install  ## run the pipeline: from photographs to metrics/report.html
	dvc repro

repro-%: install  ## run another pipeline of pipelines/: repro-worth, repro-cable-ablation, repro-cable-protocols …
	$(if $(filter cable-%,$*),dvc repro,)$(if $(filter worth,$*),dvc repro ingest,)
	cd pipelines && dvc repro $(subst -,_,$*)/dvc.yaml

FOLDS ?= 5
SEEDS ?= 0
crossval: install  ## train on every fold (FOLDS=5) and seed (SEEDS="0 1 2"), then compare student and baseline
	for fold in $$(seq 0 $$(($(FOLDS) - 1))); do for seed in $(SEEDS); do \
		dvc exp run --queue -S prepare.folds=$(FOLDS) -S prepare.fold=$$fold -S student.seed=$$seed || exit 1; \
	done; done
	dvc exp run --run-all
	defectdistill summary --complete

predict-demo: install  ## after make repro: predict pictures that no stage has seen, and say which page to open
	@test -f models/student/model.json || { echo "there is no models/student yet: run make repro first" >&2; exit 1; }
	python tools/demo_photographs.py data/synthetic_demo
	defectdistill predict data/synthetic_demo
	@echo "open $(CURDIR)/predictions/index.html in a browser"

declare: install  ## write into every dvc.yaml the modules that its stages import
	python tools/declare.py

test: .venv/.installed-dev  ## lint, and all tests
	ruff check .
	ruff format --check .
	pytest -n auto --dist loadfile --no-loadscope-reorder --durations 20 -m "not gpu and not slow"

test-slow: .venv/.installed-dev  ## the tests that take minutes: kills over all stages, queued experiments, a cluster
	$(INSTALL) '.[dev,ray]'
	pytest -m slow

# An environment of its own, small: what is checked are the pinned versions, not what happens to be installed.
.venv-audit/.installed: constraints.txt
	test -x .venv-audit/bin/python || $(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt pip-audit
	touch $@

audit: .venv-audit/.installed  ## look up every pinned version among the known vulnerabilities (needs the network)
	.venv-audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict --progress-spinner off

SHOWN := Experiment$$|(student|baseline)\.test\.(macro_f1|mean_dice)$$|student\.validation\.macro_f1$$
CHANGED := (ingest|prepare|augment|freeze|distill)\.|(teacher|student)\.(?!test|val|unl|cal|sel|att|int|acc|dice|image|iou|macro|mean)[a-z_]+$$
compare: install  ## list the experiments with their scores and the settings that they changed
	dvc exp show --only-changed --drop '^(?!$(SHOWN)|$(CHANGED))'

ui: install  ## compare the experiments in the browser, on this machine only
	MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true mlflow ui --host 127.0.0.1 --port 5000 \
		--backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}"

PORT ?= 7860
app: .venv/.installed-app  ## the page to look at photographs and draw masks, on this machine only (after `make repro`)
	defectdistill app --port $(PORT)

help:  ## say what there is to make
	@grep -hE '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/ —/'

clean:  ## remove what the tests and the linter leave
	rm -rf .pytest_cache .ruff_cache .hypothesis
