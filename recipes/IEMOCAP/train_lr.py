#!/usr/bin/env python3
r"""Trains and evaluates the references for text emotion recognition: logistic regression on TF-IDF or on mean tokens.

Corpora, folds and result files are those of `train_ter.py`, and so is the feature store.

    python recipes/IEMOCAP/train_lr.py hparams/lr_tfidf.yaml --corpus emorynlp --scheme official \
        --labels "[angry, neutral, happy, sad, fearful, peaceful, powerful]" --data_folder /path/to/emorynlp

Every key of the hyperparameter file is an option: --context_turns 3, --validation_score macro_f1. The
same command goes on where a stopped run was.
"""

import sys

from emorec_lobes.experiments.run import run_recipe
from emorec_lobes.experiments.text_reference import answer_with_logistic, text_features

if __name__ == "__main__":
    sys.exit(run_recipe(answer_with_logistic, text_features))
