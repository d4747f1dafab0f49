"""What a recipe of speech and text needs: layers and tokens of the corpus, and the datasets of a fold."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from emorec_lobes.brains.base import EmotionBrain
from emorec_lobes.corpora.manifest import Utterance, with_labels
from emorec_lobes.corpora.protocol import Fold, statistics_stamp
from emorec_lobes.dataio.normalise import Normaliser
from emorec_lobes.dataio.speech_text import INPUTS, SpeechTextData
from emorec_lobes.errors import DataError
from emorec_lobes.experiments.folds import FoldData
from emorec_lobes.experiments.settings import Settings
from emorec_lobes.experiments.speech import (
    check_classes,
    draw_layer_weights,
    extract_features,
    training_class_weights,
)
from emorec_lobes.experiments.text import extract_tokens
from emorec_lobes.features.spec import TOKENS


class SpeechTextTask:
    """Encoder layers and token features in, an emotion out; an utterance may lack its text.

    Arguments
    ---------
    settings : Settings
        Of a recipe of speech and text.
    utterances : mapping
        id -> `Utterance`, may be `without_labels`. What is missing in the feature store is computed now.
    run_opts : mapping
        SpeechBrain's: the encoders run on `device`, and `noprogressbar` hides the bars.

    Raises
    ------
    ConfigError
        If the classes do not fit the model, or weights or smoothing the loss.
    DataError
        If no utterance has a text.
    """

    def __init__(self, settings: Settings, utterances: Mapping[str, Utterance], run_opts: Any) -> None:
        check_classes(settings)
        self.utterances = utterances
        self.with_text = {key: item for key, item in utterances.items() if (item.text or "").strip()}
        if not self.with_text:
            raise DataError(
                f"At least one of the {len(utterances)} utterances must have a transcript, but none has. "
                "Use the recipe train_ser.py, or prepare the corpus with its texts."
            )
        self.layers = extract_features(settings, utterances, run_opts, features=("layers",))["layers"]
        self.tokens, self.truncated = extract_tokens(
            settings,
            self.with_text,
            Path(settings["feature_folder"]),
            run_opts,
            encoder=settings["text_encoder"],
            num_layers=settings["text_num_layers"],
            encoder_dim=settings["text_encoder_dim"],
        )
        self.audio_hashes = self.layers.audio_hashes
        texts = [[key, self.tokens.entry(key).audio_hash] for key in self.with_text]
        self.features = {
            "layers": self.layers.folder.name,
            TOKENS: self.tokens.folder.name,
            "texts": hashlib.sha256(str(texts).encode()).hexdigest()[:12],
        }
        self.normaliser = Normaliser(self.layers, utterances, settings["normalise"])

    def stamp(self, settings: Settings) -> dict[str, Any]:
        """What the model was given of each utterance."""
        return {
            **{key: settings[key] for key in ("encoder", "text_encoder", "combine", "normalise", "brackets")},
            **{key: settings[key] for key in ("max_tokens", "modality_dropout")},
            "truncated_utterances": len(self.truncated),
            "utterances_without_text": len(self.utterances) - len(self.with_text),
            **dict.fromkeys(("enrolment", "aligner"), "none"),
            **statistics_stamp(settings["normalise"] == "speaker"),
            "as_the_authors": [],
        }

    def overrides(self, settings: Settings, fold: Fold) -> dict[str, Any]:
        """The hyperparameters that a fold's own training utterances decide."""
        return {"class_weights": training_class_weights(settings, self.utterances, fold)}

    def data(self, hparams: Mapping[str, Any], fold: Fold) -> FoldData:
        """Crops to train on, and whole utterances to evaluate by both inputs and by either."""
        data = SpeechTextData(
            utterances=with_labels(self.utterances),
            labels=hparams["labels"],
            layers=self.layers,
            tokens=self.tokens,
            with_text=self.with_text,
            normaliser=self.normaliser,
            crop_frames=hparams["crop_frames"],
        )
        alone = {name: replace(data, inputs=(name,)) for name in INPUTS}
        return FoldData(
            train=data.crops_dataset(fold.train),
            valid=data.utterances_dataset(fold.valid),
            test=data.utterances_dataset(fold.test),
            draw_figures=draw_figures,
            one_input={
                name: {split: shown.utterances_dataset(getattr(fold, split)) for split in ("valid", "test")}
                for name, shown in alone.items()
            },
        )


def draw_figures(brain: EmotionBrain, figures: Path, title: str) -> None:
    """The learnt layer weights of each encoder of which several layers are mixed."""
    for name in INPUTS:
        path = figures / f"layer_weights_{name}.png"
        draw_layer_weights(getattr(brain.hparams.model, name).layer_mix, path, f"the {name} encoder's layers", title)
