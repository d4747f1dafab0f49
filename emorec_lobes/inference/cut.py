"""Encoder layers that a trained layer mix hardly uses: which can go, and how much the answers change without them."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emorec_lobes.dataio.normalise import whiten
from emorec_lobes.errors import ConfigError
from emorec_lobes.evaluation.predictions import Predictions
from emorec_lobes.features.speaker import DIM as SPEAKER_DIM
from emorec_lobes.features.store import HEADER, FeatureStore
from emorec_lobes.inference.check import load_plain
from emorec_lobes.inference.graph import make_graph
from emorec_lobes.inference.model_folder import ENCODER_LAYERS, LoadedModel
from emorec_lobes.inference.verify import HPARAMS

# Of the stored utterances of the validation, that the change is measured on, the most; and of random batches.
_MOST_STORED = 64
_NUM_BATCHES = 3

Inputs = tuple[Tensor, ...]


@dataclass(frozen=True)
class Cut:
    """A speech model without its topmost encoder layers."""

    loaded: LoadedModel
    num_layers: int  # of the encoder
    kept: int  # of these, from the lowest on
    share: float  # sum of the absolute shares that the others have in the mix

    def record(self, moved: float, measured_on: str) -> dict[str, Any]:
        """What the card says."""
        return {
            "kept": self.kept,
            "num_layers": self.num_layers,
            "share": self.share,
            "moved": moved,
            "measured_on": measured_on,
        }


def layers_kept(shares: Tensor, most: float) -> int:
    """How many layers remain if the topmost go as long as their absolute shares sum to no more than `most`.

    Arguments
    ---------
    shares : torch.Tensor, (L,)
        As `LayerMix.weights`.
    most : float
        0 or more.

    Returns
    -------
    int
        1 to L.

    Example
    -------
    >>> [layers_kept(torch.tensor([0.5, 0.75, -0.25, 0.0]), most) for most in (0.0, 0.2, 0.25, 5.0)]
    [3, 3, 2, 1]
    """
    kept, dropped = len(shares), 0.0
    while kept > 1 and dropped + abs(float(shares[kept - 1])) <= most:
        dropped += abs(float(shares[kept - 1]))
        kept -= 1
    return kept


def cut_layers(loaded: LoadedModel, most: float) -> Cut:
    """Takes away the topmost layers whose absolute shares w_l in the mix sum to no more than `most`.

    The lowest K of L layers h_l keep their shares, so the mixed features m = sum_l w_l h_l change by

        |m - m'| = |sum_{l >= K} w_l h_l| <= share * max_{l >= K} |h_l|,   share = sum_{l >= K} |w_l| <= most,

    in each frame and feature; and where the layers are normalised over an utterance, which makes the root mean square
    of each feature of each h_l 1 at most, the root mean square of a mixed feature changes by no more than the share.
    Shares that are brought to a sum of 1 again would let each kept layer change it as well.

    Arguments
    ---------
    loaded : LoadedModel
        Of `train_ser.py`; left as it is.
    most : float

    Returns
    -------
    Cut

    Raises
    ------
    ConfigError
        If the model cannot be cut, or nothing would be gained.
    """
    if not (math.isfinite(most) and 0 <= most < 1):
        raise ConfigError(f"`drop_layers` must be 0 or more and less than 1, but is {most} instead. Try 0.01.")
    _check(loaded)
    shares = loaded.model.layer_mix.weights
    kept = layers_kept(shares, most)
    if kept == len(shares):
        raise ConfigError(
            f"`drop_layers` must be at least {abs(float(shares[-1])):.3g}, the share of the topmost of {len(shares)} "
            f"layers, for anything to be gained, but is {most:g} instead. Leave it out, or allow more."
        )
    model = copy.deepcopy(loaded.model)
    model.layer_mix.num_used = kept
    hparams = loaded.hparams | {"num_layers": kept, ENCODER_LAYERS: len(shares)}
    return Cut(replace(loaded, model=model, hparams=hparams), len(shares), kept, float(shares[kept:].abs().sum()))


def _check(loaded: LoadedModel) -> None:
    reason = None
    if loaded.task != "speech":
        reason = "is none of train_ser.py"
    elif loaded.model.layer_mix is None or loaded.model.layer_mix.num_layers == 1:
        reason = "has a single layer"
    elif loaded.model.statistics is not None and loaded.model.statistics.num_statistics > 0:
        reason = "pools statistics of every layer (num_statistics) beside the mix"
    if reason:
        raise ConfigError(
            "`drop_layers` needs a speech model that uses its encoder's layers through the mix alone, but that of "
            f"{loaded.source} {reason}. Leave it out."
        )


def measured_on(loaded: LoadedModel, predictions: Predictions, features: dict[str, str]) -> tuple[str, list[Inputs]]:
    """What a cut is measured on: stored features of the validation's utterances where they are still there, else
    random ones of several magnitudes.

    Arguments
    ---------
    loaded : LoadedModel
        The whole model.
    predictions : Predictions
        Of its fold.
    features : dict
        Feature -> the name of its store, as the fold's record says.

    Returns
    -------
    str
        What it is, in words.
    list of tuple
        Inputs of the model's graph.
    """
    stored = list(_stored(loaded, predictions, features))
    if stored:
        return f"{len(stored)} utterances of the validation", stored
    generator = torch.Generator().manual_seed(0)
    graph = make_graph(loaded.task, loaded.model, loaded.hparams)
    return f"{_NUM_BATCHES} batches of random features", [graph.example(generator) for _ in range(_NUM_BATCHES)]


def _stored(loaded: LoadedModel, predictions: Predictions, features: dict[str, str]) -> Iterator[Inputs]:
    root = Path(load_plain(loaded.source / HPARAMS).get("feature_folder", ""))
    stores = {
        name: FeatureStore.read_only(root / features[name])
        for name in ("layers", "speaker")
        if name in features and (root / features[name] / HEADER).exists()
    }
    if "layers" not in stores or "valid" not in predictions.splits:
        return
    known = [each for each in predictions.only("valid").ids if each in stores["layers"]]
    for each in known[:_MOST_STORED]:
        layers = stores["layers"].read_single(each)
        if loaded.hparams["normalise"] == "speaker":  # by the utterance's own scale: the speaker's needs the corpus
            layers = whiten(layers, *stores["layers"].statistics(each))
        has_vector = "speaker" in stores and each in stores["speaker"]
        vector = stores["speaker"].read_single(each) if has_vector else torch.zeros(1, SPEAKER_DIM)
        yield layers.unsqueeze(0), torch.tensor([len(layers)]), vector


@torch.inference_mode()
def largest_change(whole: LoadedModel, cut: Cut, batches: list[Inputs]) -> float:
    """The largest difference between the probabilities of a model and of what is left of it."""
    full, short = (make_graph(each.task, each.model, each.hparams) for each in (whole, cut.loaded))
    return max(
        float((full(layers, *rest) - short(layers[:, :, : cut.kept], *rest)).abs().max()) for layers, *rest in batches
    )
