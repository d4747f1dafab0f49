#!/usr/bin/env python3
"""Pre-trains a front end to tell speakers apart, on VoxCeleb1 or any folder with one subfolder a speaker.

Source: Xi, Song, Dai, McLoughlin, Liu, "Frontend Attributes Disentanglement for Speech Emotion Recognition",
ICASSP 2022, sections 2.1 and 3.2.

    python recipes/VoxCeleb/train_speaker.py hparams/speaker_resnet18.yaml --data_folder /corpora/VoxCeleb1 \\
        --split_list /corpora/VoxCeleb1/iden_split.txt --trials /corpora/VoxCeleb1/veri_test.txt

Every key of the hyperparameter file is an option: --batch_size 32, --loss softmax. The same command goes on where a
stopped run was.
"""

import sys

from emorec_lobes.experiments.speaker import main

if __name__ == "__main__":
    sys.exit(main())
