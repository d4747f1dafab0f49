"""What a speaker recipe reads: who is trained on, who is held out, and waves by the crop."""

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from speechbrain.dataio.dataset import DynamicItemDataset
from torch import Tensor

from emorec_lobes.corpora.speaker_folder import (
    Recording,
    SpeakerSplit,
    Trials,
    all_pairs,
    check_speakers,
    read_recordings,
    split_in_time,
)
from emorec_lobes.corpora.voxceleb import read_split_list, read_trials
from emorec_lobes.dataio.speech import DrawDataset
from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.experiments.settings import Settings
from emorec_lobes.features.audio import load_audio
from emorec_lobes.units import SAMPLE_RATE_HZ

# A crop that augmentation may speed up by a tenth still is a whole crop.
_LONGER_FOR_AUGMENTATION = 1.1


@dataclass(frozen=True)
class SpeakerData:
    """Recordings to train and to be tested on."""

    split: SpeakerSplit
    trials: Trials | None
    left_out: list[str]  # speakers of the trials whom the training corpus has too, and who are not trained on
    heard: list[str]  # those who are

    def fingerprints(self) -> dict[str, str]:
        """12 hex digits of what is trained on and chosen by, and of the trials."""
        trials = self.trials and [self.trials.recordings, self.trials.pairs.tolist(), self.trials.targets.tolist()]
        return {
            "data": _digest([self.split.train, self.split.dev, self.split.test]),
            "trials": _digest(trials),
        }


def read_data(settings: Settings) -> SpeakerData:
    """Reads the lists or folders that the settings name, and the headers of all audio.

    Raises
    ------
    ConfigError
        If both kinds of trials are asked for.
    DataError
        As the readers, or if leaving out the speakers of the trials leaves too few.
    """
    folder, min_duration = Path(settings["data_folder"]), settings["window_ms"] / 1000
    if settings["split_list"] is None:
        recordings = read_recordings(folder, settings["speaker_from"], min_duration)
        split = split_in_time(recordings, settings["dev_share"])
    else:
        split = read_split_list(Path(settings["split_list"]), folder, min_duration)
    trials = _read_trials(settings, folder, min_duration)
    if trials is None:
        return SpeakerData(split, None, [], [])
    shared = sorted({item.speaker for item in trials.recordings} & set(split.speakers))
    if not settings["leave_out_trial_speakers"]:
        return SpeakerData(split, trials, [], shared)
    split = split.without(shared)
    check_speakers(split.speakers)
    return SpeakerData(split, trials, shared, [])


def _read_trials(settings: Settings, folder: Path, min_duration: float) -> Trials | None:
    if settings["trials"] is not None and settings["trials_folder"] is not None:
        raise ConfigError("`trials` and `trials_folder` are both given, but one set of trials is scored. Drop one.")
    if settings["trials"] is not None:
        return read_trials(Path(settings["trials"]), folder, min_duration)
    if settings["trials_folder"] is None:
        return None
    unseen = Path(settings["trials_folder"])
    return all_pairs(read_recordings(unseen, "folder", min_duration), f"all pairs of {unseen.name}")


def crops_dataset(
    recordings: Sequence[Recording], classes: Sequence[str], crop_samples: int, augment: Any
) -> DrawDataset:
    """Training items: a random crop as a wave, and its speaker's class.

    Arguments
    ---------
    recordings : sequence of Recording
    classes : sequence of str
        Speakers; a target is an index into it.
    crop_samples : int
        Of each wave. What is shorter is repeated, so that no crop has padding.
    augment : WaveAugment or None
        Its draws, as the place of the crop, are a function of the item's draw.
    """
    by_id = {item.id: item for item in recordings}

    def crop(recording_id: str, draw: float) -> Tensor:
        item = by_id[recording_id]
        length = ceil(crop_samples * (_LONGER_FOR_AUGMENTATION if augment else 1)) / SAMPLE_RATE_HZ
        start = (item.start or 0.0) + draw * max(0.0, item.duration - length)
        wave = load_audio(item.path, start, start + min(length, item.duration))
        if augment:
            wave = augment(wave, seed=int(draw * 2**53))
        return wave.repeat(ceil(crop_samples / len(wave)))[:crop_samples]

    dataset = DrawDataset(_items(recordings, classes, draw=0.0))
    dataset.add_dynamic_item(crop, takes=["id", "draw"], provides="wave")
    dataset.set_output_keys(["id", "wave", "target"])
    return dataset


def whole_dataset(recordings: Sequence[Recording], classes: Sequence[str] | None = None) -> DynamicItemDataset:
    """Evaluation items: whole recordings, longest first so that batches pad little; with classes, a target each."""
    by_id = {item.id: item for item in recordings}

    def whole(recording_id: str) -> Tensor:
        item = by_id[recording_id]
        return load_audio(item.path, item.start, item.stop)

    ordered = sorted(recordings, key=lambda item: (-item.duration, item.id))
    dataset = DynamicItemDataset(_items(ordered, classes))
    dataset.add_dynamic_item(whole, takes="id", provides="wave")
    dataset.set_output_keys(["id", "wave"] if classes is None else ["id", "wave", "target"])
    return dataset


def wave_augment(hparams: Mapping[str, Any]) -> Any:
    """The augmentation that `augment` asks for, or None.

    Raises
    ------
    ConfigError
        If it asks for one that there is not, or for reverberation without impulse responses.
    """
    for name in hparams["augment"]:
        if name not in hparams["augmentations"]:
            raise ConfigError(not_one_of("augment", name, hparams["augmentations"]))
    if "reverb" in hparams["augment"] and hparams["reverb_csv"] is None:
        raise ConfigError("`augment` names reverb, which needs impulse responses. Add --reverb_csv FILE.")
    for key in ("noise_csv", "reverb_csv"):
        if hparams[key] is not None:
            _check_csv(key, Path(hparams[key]))
    chosen = [hparams["augmentations"][name]() for name in hparams["augment"]]
    return hparams["wave_augment"](hparams["augmenter"](augmentations=chosen)) if chosen else None


def _check_csv(key: str, path: Path) -> None:
    """Refuses what SpeechBrain could not read in the midst of training."""
    if not path.is_file():
        raise ConfigError(f"`{key}` must be a csv file, but {path} does not exist. Name another.")
    with path.open(encoding="utf-8", errors="replace", newline="") as stream:
        columns = next(csv.reader(stream, skipinitialspace=True), [])
    lacking = [name for name in ("ID", "duration", "wav") if name not in columns]
    if lacking:
        raise ConfigError(f"{path} must have the columns ID, duration and wav, but lacks {lacking[0]}. Add it.")


def _items(recordings: Sequence[Recording], classes: Sequence[str] | None, **extra: Any) -> dict[str, dict[str, Any]]:
    if classes is None:
        return {item.id: dict(extra) for item in recordings}
    place = {speaker: number for number, speaker in enumerate(classes)}
    return {item.id: {"target": place[item.speaker], **extra} for item in recordings}


def _digest(content: Any) -> str:
    text = json.dumps(content, default=lambda item: [item.id, item.speaker, item.duration, item.start, item.stop])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
