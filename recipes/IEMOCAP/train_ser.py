#!/usr/bin/env python3
"""Trains and evaluates speech emotion recognition on IEMOCAP, or on any other corpus emorec reads.

Source: Makiuchi, Uto, Shinoda, "Multimodal Emotion Recognition with High-level Speech and Text
Features", ASRU 2021.

    python recipes/IEMOCAP/train_ser.py hparams/ser_small.yaml --data_folder /path/to/IEMOCAP_full_release

Every key of the hyperparameter file is an option: --fold 1, --seed 2, --batch_size 16. The same
command goes on where a stopped run was.
"""

import sys

from emorec_lobes.brains.ser import SERBrain
from emorec_lobes.experiments.run import main
from emorec_lobes.experiments.speech import SpeechTask

if __name__ == "__main__":
    sys.exit(main(SERBrain, SpeechTask))
