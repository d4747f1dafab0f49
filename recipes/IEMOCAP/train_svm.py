#!/usr/bin/env python3
"""Trains and evaluates the reference for speech emotion recognition: a linear SVM on statistics of encoder layers.

Corpora, folds and result files are those of `train_ser.py`, and so is the feature store.

    python recipes/IEMOCAP/train_svm.py hparams/svm_resemblyzer.yaml --data_folder /path/to/EmoDB

Every key of the hyperparameter file is an option: --normalise speaker, --refit True, --fold 1. The
same command goes on where a stopped run was.
"""

import sys

from emorec_lobes.experiments.reference import LayerStatistics, answer_with_svm
from emorec_lobes.experiments.run import run_recipe

if __name__ == "__main__":
    sys.exit(run_recipe(answer_with_svm, LayerStatistics))
