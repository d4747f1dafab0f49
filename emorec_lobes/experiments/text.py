"""What a text recipe needs: token features of the corpus, and the datasets of a fold."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechbrain.utils.distributed import infer_device, run_on_main

from emorec_lobes.brains.base import EmotionBrain
from emorec_lobes.corpora.manifest import Utterance, with_labels
from emorec_lobes.corpora.protocol import Fold, statistics_stamp
from emorec_lobes.dataio.context import check_dialogs, with_context
from emorec_lobes.dataio.text import TextData
from emorec_lobes.errors import ConfigError
from emorec_lobes.experiments.folds import FoldData
from emorec_lobes.experiments.ratings import soft_features, soft_stamp, soft_targets
from emorec_lobes.experiments.settings import Settings
from emorec_lobes.experiments.speech import check_classes, draw_layer_weights, training_class_weights
from emorec_lobes.features.extract import extract
from emorec_lobes.features.spec import TOKENS, TextSpec
from emorec_lobes.features.store import FeatureStore


class TextTask:
    """Token features in, an emotion out.

    Arguments
    ---------
    settings : Settings
        Of a text recipe.
    utterances : mapping
        id -> `Utterance`, may be `without_labels`. Tokens missing in the feature store are computed now.
    run_opts : mapping
        SpeechBrain's: the encoder runs on `device`, and `noprogressbar` hides the bar.

    Raises
    ------
    ConfigError
        If the classes or the longest text do not fit the model, or weights or smoothing the loss.
    """

    def __init__(self, settings: Settings, utterances: Mapping[str, Utterance], run_opts: Any) -> None:
        check_classes(settings)
        _check_length(settings)
        self.utterances = utterances
        self.soft_targets = soft_targets(settings, utterances)
        self.tokens, self.truncated = token_store(settings, utterances, run_opts)
        self.audio_hashes = hashes_with_ids(self.tokens.audio_hashes)
        self.features = {TOKENS: self.tokens.folder.name} | soft_features(self.soft_targets)

    def stamp(self, settings: Settings) -> dict[str, Any]:
        """What the model was given of each utterance."""
        switches = settings["authors_switches"]
        return {
            **{key: settings[key] for key in ("encoder", "brackets", "max_tokens", "context_turns")},
            "truncated_utterances": len(self.truncated),
            **dict.fromkeys(("normalise", "enrolment", "aligner"), "none"),
            **statistics_stamp(False),
            "as_the_authors": [key for key in switches if settings[key] == switches[key]],
            **soft_stamp(self.soft_targets),
        }

    def overrides(self, settings: Settings, fold: Fold) -> dict[str, Any]:
        """The hyperparameters that a fold's own training utterances decide."""
        if settings["context_turns"]:
            check_dialogs(fold.sides, self.utterances)
        return {"class_weights": training_class_weights(settings, self.utterances, fold)}

    def data(self, hparams: Mapping[str, Any], fold: Fold) -> FoldData:
        """Whole utterances, to train on and to evaluate."""

        def draw_figures(brain: EmotionBrain, figures: Path, title: str) -> None:
            draw_layer_weights(
                brain.hparams.model.layer_mix, figures / "layer_weights.png", "the encoder's layers", title
            )

        data = TextData(with_labels(self.utterances), hparams["labels"], self.tokens, self.soft_targets)
        return FoldData(
            train=data.draws_dataset(fold.train),
            valid=data.utterances_dataset(fold.valid) if fold.valid else None,
            test=data.utterances_dataset(fold.test),
            draw_figures=draw_figures,
        )


def token_store(
    settings: Settings, utterances: Mapping[str, Utterance], run_opts: Any
) -> tuple[FeatureStore, list[str]]:
    """The store of a text recipe's tokens, after what was missing in it is computed, and what was cut off in it."""
    num_turns, root = settings["context_turns"], Path(settings["feature_folder"])
    if num_turns:  # an utterance has other tokens then: its context is part of what the encoder reads
        utterances, root = with_context(utterances, num_turns), root / f"context_{num_turns}"
    encoder = {key: settings[key] for key in ("encoder", "num_layers", "encoder_dim")}
    return extract_tokens(settings, utterances, root, run_opts, **encoder)


def extract_tokens(
    settings: Settings, utterances: Mapping[str, Utterance], root: Path, run_opts: Any, **encoder: Any
) -> tuple[FeatureStore, list[str]]:
    """As `token_store`, of the texts as they are; `encoder`, `num_layers` and `encoder_dim` name the encoder."""
    spec = TextSpec(
        **encoder,
        brackets=settings["brackets"],
        max_tokens=settings["max_tokens"],
        device=run_opts["device"] or infer_device(),
    )
    folder, is_shown = Path(settings["data_folder"]), not run_opts["noprogressbar"]
    run_on_main(extract, [utterances, folder, root, spec, settings["extract_workers"], is_shown])
    tokens = spec.open(root)[TOKENS]
    return tokens, spec.truncated(tokens, utterances)


def hashes_with_ids(hashes: Mapping[str, str]) -> dict[str, str]:
    """Hashes of texts with the id in front: the same words may well be said twice, and are no leak."""
    return {key: f"{key} {each}" for key, each in hashes.items()}


def _check_length(settings: Settings) -> None:
    """Refuses texts longer than the model takes, before anything is extracted."""
    longest, allowed = settings["max_tokens"], settings.build()["model"].max_tokens
    if allowed is not None and longest > allowed:
        raise ConfigError(
            f"`max_tokens` must be at most {allowed} for the authors' network, but is {longest} instead. "
            f"Use --max_tokens {allowed}."
        )
