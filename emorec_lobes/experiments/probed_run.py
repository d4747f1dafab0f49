"""A finished fold's network as a source of vectors: its data as in training, its vectors of each utterance."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from emorec_lobes.corpora.manifest import Utterance, read_manifest, without_labels
from emorec_lobes.corpora.protocol import Fold, make_folds
from emorec_lobes.dataio.normalise import Normaliser
from emorec_lobes.dataio.spectrum import SpectrumData
from emorec_lobes.errors import ConfigError
from emorec_lobes.experiments.ad import extract_spectra, pretrained_weights
from emorec_lobes.experiments.fingerprint import FINGERPRINT
from emorec_lobes.experiments.probe import Rows
from emorec_lobes.experiments.results import fold_predictions
from emorec_lobes.experiments.settings import Settings
from emorec_lobes.experiments.speech import SpeechTask
from emorec_lobes.files import read_json

# What runs have in common that can be drawn side by side.
_SHARED = ("corpus", "labels", "scheme", "protocol", "num_groups", "speaker_groups", "refit")
_SHARED += ("features", "num_mels", "window_ms", "hop_ms", "vad", "vad_options", "subtract_mean", "normalise")

# Id -> what the network is given of an utterance, all of its segments as one batch.
Inputs = Callable[[str], tuple[Tensor, ...]]


@dataclass(frozen=True)
class Source:
    """How networks of a kind are probed."""

    inputs: Callable[[Settings, Mapping[str, Utterance], Fold, Any], Inputs]
    points: Callable[..., dict[str, Tensor]]  # (network, input tensors) -> vectors by point, (B, D)
    vectors: str  # what they are, for the reader
    # (network, input tensors) -> what the network ends with; None where networks are not drawn side by side.
    end: Callable[..., dict[str, Tensor]] | None = None
    # (network, input tensors) -> the attention's shares by position, (B, C, F', T'); None where it has no attention.
    shares: Callable[..., dict[str, Tensor]] | None = None


@dataclass(frozen=True)
class Attention:
    """What a network's attention picks of one utterance, or of its first window."""

    utterance_id: str
    spectrum: np.ndarray  # (T, M)
    shares: Mapping[str, np.ndarray]  # by position, (C, F', T')
    hop_ms: float


@dataclass(frozen=True)
class Probed:
    """What is probed: a network's vectors of the utterances it was trained on, and of those it was tested on."""

    trained: Mapping[str, Rows]  # by point
    tested: Mapping[str, Rows]
    trained_ids: Sequence[str]
    tested_ids: Sequence[str]
    utterances: Mapping[str, Utterance]
    labels: Sequence[str]
    attention: Attention | None = None


def fold_settings(folder: Path, hparams: Mapping[str, Any], **moved: str | None) -> Settings:
    """The settings of a finished fold: its plain hyperparameters, with nothing in them that could be built.

    Arguments
    ---------
    folder : Path
        Of the fold, in its run's folder.
    hparams : mapping
        What is data in its hyperparams.yaml.
    **moved : str, optional
        Where `data_folder` or `feature_folder` are now; None where they did not move.
    """
    given = {key: value for key, value in moved.items() if value is not None}
    manifest = hparams.get("manifest") or str(folder.parent / "manifest.json")
    values = {**hparams, **given, "manifest": manifest, "wave_copies": 0}  # only training draws from copies
    return Settings(folder / "hyperparams.yaml", "", given, values, values)


def load_fold(settings: Settings, name: str) -> tuple[dict[str, Utterance], Fold]:
    """The utterances of a run, and one of its folds.

    Raises
    ------
    ConfigError
        If the manifest no longer gives the fold that was tested.
    """
    labels, folder = settings["labels"], settings.path.parent
    utterances = {
        key: item for key, item in read_manifest(Path(settings["manifest"])).items() if item.emotion in labels
    }
    options = {key: settings[key] for key in ("scheme", "protocol", "num_groups", "speaker_groups")}
    folds = {fold.name: fold for fold in make_folds(utterances, **options)}
    tested = set(fold_predictions(folder).only("test").ids)
    if name not in folds or set(folds[name].test) != tested:
        raise ConfigError(
            f"{settings['manifest']} must give the test utterances of {folder / 'predictions.csv'}, but gives others. "
            "Restore the manifest, or train again."
        )
    return utterances, folds[name]


def trained_ids(settings: Settings, fold: Fold) -> tuple[str, ...]:
    """What the fold's network was trained on: validation too, where it was refitted."""
    return (*fold.train, *fold.valid) if settings["refit"] else fold.train


def speech_inputs(settings: Settings, utterances: Mapping[str, Utterance], fold: Fold, run_opts: Any) -> Inputs:
    """Segments of a speech run: layers (N, T, L, D), speaker vectors (N, E), valid frames (N,)."""
    data = SpeechTask(settings, without_labels(utterances), run_opts).inputs(settings.values, fold)

    def inputs(utterance_id: str) -> tuple[Tensor, ...]:
        layers, num_valid = data.segments(utterance_id)
        return layers, data.speaker_vectors[utterance_id].expand(len(layers), -1), num_valid

    return inputs


def spectrum_inputs(settings: Settings, utterances: Mapping[str, Utterance], fold: Fold, run_opts: Any) -> Inputs:
    """What a run on spectra is tested on: windows (N, t, M), or the whole utterance (1, T, M)."""
    unlabelled = without_labels(utterances)
    spectra = extract_spectra(settings, unlabelled, run_opts)
    normaliser = Normaliser(spectra, unlabelled, settings["normalise"])
    frames = {key: settings[key] for key in ("crop_frames", "window_shift")}
    data = SpectrumData(utterances, settings["labels"], (), spectra, normaliser, **frames)
    if settings["eval_windows"] == "whole":
        return lambda utterance_id: (data.whole(utterance_id).unsqueeze(0),)
    return lambda utterance_id: (data.windows(utterance_id),)


def gather(settings: Settings, fold_name: str, model: nn.Module, source: Source, device: str, progress: bool) -> Probed:
    """The vectors of a fold's network, after the features that are missing in the store are computed."""
    utterances, fold = load_fold(settings, fold_name)
    run_opts = {"device": device, "noprogressbar": not progress}
    inputs = source.inputs(settings, utterances, fold, run_opts)
    ids = trained_ids(settings, fold)
    model = model.to(device)
    trained, tested = (vectors_of(model, source.points, inputs, part, device, progress) for part in (ids, fold.test))
    attention = None if source.shares is None else look(settings, model, source, inputs, fold.test[0], device)
    return Probed(trained, tested, ids, fold.test, utterances, settings["labels"], attention)


def check_side_by_side(settings: Settings, others: Mapping[str, Mapping[str, Any]], source: Source) -> None:
    """Refuses networks that do not take the same input of the same fold; `others` are their hyperparameters.

    Raises
    ------
    ConfigError
        Names the run and the key.
    """
    for run, hparams in others.items():
        if source.end is None:
            raise ConfigError(
                f"`--beside` must go with a run of train_ad.py, but {settings.path.parent} is none. Drop it."
            )
        differing = [key for key in _SHARED if hparams.get(key) != settings.values.get(key)]
        if differing:
            key = differing[0]
            raise ConfigError(
                f"`{key}` of {run} must be {settings[key]}, as in {settings.path.parent}, but is {hparams.get(key)} "
                "instead. Name a run on the same folds and features."
            )


def gather_ends(
    settings: Settings, fold_name: str, networks: Mapping[str, nn.Module], source: Source, device: str, progress: bool
) -> dict[str, np.ndarray]:
    """What several networks end with of the utterances that a fold trained on: by name, (N, D)."""
    utterances, fold = load_fold(settings, fold_name)
    inputs = source.inputs(settings, utterances, fold, {"device": device, "noprogressbar": not progress})
    ids = trained_ids(settings, fold)
    ends = {}
    for name, network in networks.items():
        [rows] = vectors_of(network.to(device), source.end, inputs, ids, device, progress).values()
        ends[name] = rows.means()
    return ends


def before_training(settings: Settings, model: nn.Module) -> dict[str, nn.Module]:
    """A network with the front end that its training started from, and no AD; none if nothing was learnt before.

    Raises
    ------
    ConfigError
        If these weights have changed since.
    """
    if settings["pretrained"] is None:
        return {}
    learnt, folder = pretrained_weights(settings), settings.path.parent
    begun_with = read_json(folder / FINGERPRINT, "the recipe", needed=("features",))["features"]
    if begun_with.get("pretrained") != learnt.fingerprint:
        raise ConfigError(
            f"`pretrained` must hold the weights that {folder} began with, but {learnt.source} holds others. "
            "Restore them."
        )
    fresh = copy.deepcopy(model)
    fresh.front_end.disentanglers = nn.ModuleDict()
    learnt.load_into(fresh.front_end.front_end)
    return {"before training": fresh.eval()}


def look(
    settings: Settings, model: nn.Module, source: Source, inputs: Inputs, utterance_id: str, device: str
) -> Attention | None:
    """What the attention picks of an utterance; None for a network without."""
    given = [part[:1].to(device) for part in inputs(utterance_id)]
    with torch.inference_mode():
        shares = {position: each[0].cpu().numpy() for position, each in source.shares(model, *given).items()}
    spectrum = given[0][0].cpu().numpy()
    if settings["features"] == "resemblyzer":  # energies, of which the eye sees only the loudest
        spectrum = 10 * np.log10(np.maximum(spectrum, spectrum.max() * 1e-6))
    return Attention(utterance_id, spectrum, shares, settings["hop_ms"]) if shares else None


def vectors_of(
    model: nn.Module,
    points: Callable[..., dict[str, Tensor]],
    inputs: Inputs,
    ids: Iterable[str],
    device: str,
    progress: bool,
) -> dict[str, Rows]:
    """A network's vectors of utterances, by point; rows in the order of the ids."""
    parts: dict[str, list[np.ndarray]] = {}
    with torch.inference_mode():
        for utterance_id in tqdm(list(ids), desc="vectors", delay=1, disable=not progress):
            found = points(model, *(part.to(device) for part in inputs(utterance_id)))
            for name, vectors in found.items():
                parts.setdefault(name, []).append(vectors.float().cpu().numpy())
    return {
        name: Rows(np.concatenate(vectors), np.array([len(each) for each in vectors]))
        for name, vectors in parts.items()
    }
