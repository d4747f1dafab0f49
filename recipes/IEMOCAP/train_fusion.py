#!/usr/bin/env python3
"""Trains and evaluates one model of speech and text on IEMOCAP, or on any other corpus with audio and transcripts.

    python recipes/IEMOCAP/train_fusion.py hparams/fusion_large.yaml --data_folder /path/to/IEMOCAP_full_release

Every key of the hyperparameter file is an option: --fold 1, --seed 2, --combine gated_sum. The same
command goes on where a stopped run was.
"""

import sys

from emorec_lobes.brains.fusion import FusionBrain
from emorec_lobes.experiments.run import main
from emorec_lobes.experiments.speech_text import SpeechTextTask

if __name__ == "__main__":
    sys.exit(main(FusionBrain, SpeechTextTask))
