#!/usr/bin/env python3
"""Trains and evaluates emotion recognition with attribute disentanglement on a front end that knows speakers.

Source: Xi, Song, Dai, McLoughlin, Liu, "Frontend Attributes Disentanglement for Speech Emotion Recognition",
ICASSP 2022.

    python recipes/IEMOCAP/train_ad.py hparams/ad_resnet18.yaml --data_folder /path/to/IEMOCAP_full_release \
        --pretrained results/speaker_resnet18/voxceleb1/seed_1

Every key of the hyperparameter file is an option: --ad_positions "[]" for the network without. The same command
goes on where a stopped run was.
"""

import sys

from emorec_lobes.brains.ad import ADBrain
from emorec_lobes.experiments.ad import ADTask
from emorec_lobes.experiments.run import main

if __name__ == "__main__":
    sys.exit(main(ADBrain, ADTask))
