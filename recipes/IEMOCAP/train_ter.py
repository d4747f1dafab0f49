#!/usr/bin/env python3
"""Trains and evaluates text emotion recognition on IEMOCAP, or on any other corpus with transcripts.

Source: Makiuchi, Uto, Shinoda, "Multimodal Emotion Recognition with High-level Speech and Text
Features", ASRU 2021.

    python recipes/IEMOCAP/train_ter.py hparams/ter_bert.yaml --data_folder /path/to/IEMOCAP_full_release

Every key of the hyperparameter file is an option: --fold 1, --seed 2, --context_turns 3. The same
command goes on where a stopped run was.
"""

import sys

from emorec_lobes.brains.ter import TERBrain
from emorec_lobes.experiments.run import main
from emorec_lobes.experiments.text import TextTask

if __name__ == "__main__":
    sys.exit(main(TERBrain, TextTask))
