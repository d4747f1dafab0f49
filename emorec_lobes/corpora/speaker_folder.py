"""Who speaks in which file: folders with one subfolder a speaker, and how their speech is split."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from tqdm import tqdm

from emorec_lobes.corpora.audio import probe
from emorec_lobes.errors import ConfigError, DataError, not_one_of
from emorec_lobes.units import Seconds

AUDIO_ENDINGS = (".wav", ".flac", ".mp3", ".ogg")
SPEAKER_FROM = ("folder", "file_name")

# Less speech than this says little about who speaks.
_MIN_PART: Seconds = 0.3
_BAR_AFTER_S: Seconds = 2.0


@dataclass(frozen=True)
class Recording:
    """An utterance of a speaker, or a part of it."""

    id: str  # the file's path below the corpus folder, with /
    path: Path
    speaker: str
    duration: Seconds  # of the part
    start: Seconds | None = None
    stop: Seconds | None = None


@dataclass(frozen=True)
class SpeakerSplit:
    """What is learnt from, what chooses the checkpoint, and, where a list names it, what tests it."""

    train: list[Recording]
    dev: list[Recording]
    test: list[Recording]
    rule: str  # how it was split, for the record

    @property
    def speakers(self) -> list[str]:
        """The classes, in order."""
        return sorted({item.speaker for item in self.train})

    def without(self, speakers: Iterable[str]) -> "SpeakerSplit":
        """The same without some speakers."""
        gone = set(speakers)
        kept = ([item for item in part if item.speaker not in gone] for part in (self.train, self.dev, self.test))
        return SpeakerSplit(*kept, rule=self.rule)


@dataclass(frozen=True)
class Trials:
    """Pairs of recordings: is it one speaker, or are they two?"""

    recordings: list[Recording]
    pairs: np.ndarray  # (N, 2), indices of recordings
    targets: np.ndarray  # (N,) bool, True where it is one speaker
    rule: str  # where they come from, for the record

    @property
    def speakers(self) -> np.ndarray:
        """Of both sides of each trial, (N, 2)."""
        return np.array([item.speaker for item in self.recordings])[self.pairs]


def read_recordings(folder: Path, speaker_from: str, min_duration: Seconds) -> list[Recording]:
    """All audio files below a folder, in the order of their paths.

    Arguments
    ---------
    folder : Path
    speaker_from : str
        `folder`: the first subfolder is the speaker's, as in LibriSpeech, whatever lies deeper. `file_name`: a file
        name begins with the speaker and a hyphen.
    min_duration : float
        One analysis window.

    Returns
    -------
    list of Recording

    Raises
    ------
    DataError
        If there is no audio, or a file tells no speaker, cannot be read, or is shorter than one window.

    Example
    -------
    >>> import soundfile
    >>> folder = getfixture("tmp_path")
    >>> (folder / "84" / "1").mkdir(parents=True)
    >>> soundfile.write(folder / "84/1/a.wav", np.zeros(16_000), 16_000)
    >>> [(item.id, item.speaker, item.duration) for item in read_recordings(folder, "folder", min_duration=0.04)]
    [('84/1/a.wav', '84', 1.0)]
    """
    folder = Path(folder)
    if speaker_from not in SPEAKER_FROM:
        raise ConfigError(not_one_of("speaker_from", speaker_from, SPEAKER_FROM))
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_ENDINGS and path.is_file())
    if not paths:
        raise DataError(
            f"{folder} must have one subfolder a speaker with {', '.join(AUDIO_ENDINGS)} files, but has none "
            "instead. Name another folder."
        )
    names = [path.relative_to(folder).as_posix() for path in paths]
    speakers = [_speaker_of(name, folder, speaker_from) for name in names]
    return probed([Recording(*each, duration=0.0) for each in zip(names, paths, speakers, strict=True)], min_duration)


def probed(recordings: Sequence[Recording], min_duration: Seconds) -> list[Recording]:
    """Recordings with the durations that their files state.

    Raises
    ------
    DataError
        For the first file that is missing, cannot be read, or is shorter than one window.
    """
    found = []
    for item in tqdm(recordings, desc="audio headers", unit="file", delay=_BAR_AFTER_S, leave=False):
        duration = probe(item.path).duration
        if duration < min_duration:
            raise DataError(
                f"{item.path} must hold at least one window of {min_duration} s, but holds {duration:.4f} s instead. "
                "Leave the utterance out."
            )
        found.append(replace(item, duration=duration))
    return found


def split_in_time(recordings: Sequence[Recording], dev_share: float) -> SpeakerSplit:
    """Holds out the last part of each speaker's speech.

    Of several utterances the last ones are held out, `dev_share` of them but not none or all; of a single one, its end,
    `dev_share` of its time, which is another stretch of the same recording.

    Arguments
    ---------
    recordings : sequence of Recording
        Of two or more speakers.
    dev_share : float
        In (0, 1).

    Returns
    -------
    SpeakerSplit
        Without test.

    Raises
    ------
    DataError
        If there is one speaker only, or a single utterance is too short to be parted.

    Example
    -------
    >>> one, two, three = (Recording(f"a/{number}", Path(), "a", 4.0) for number in range(3))
    >>> split = split_in_time([one, two, three, Recording("b/0", Path(), "b", 10.0)], dev_share=0.2)
    >>> [(item.id, item.start, item.stop) for item in split.dev]
    [('a/2', None, None), ('b/0', 8.0, 10.0)]
    """
    if not 0 < dev_share < 1:
        raise ConfigError(f"`dev_share` must be between 0 and 1, but is {dev_share} instead. Use 0.1.")
    by_speaker = defaultdict(list)
    for item in recordings:
        by_speaker[item.speaker].append(item)
    check_speakers(by_speaker)
    train, dev = [], []
    for speaker in sorted(by_speaker):
        items = by_speaker[speaker]
        if len(items) > 1:
            kept = len(items) - min(max(1, round(dev_share * len(items))), len(items) - 1)
            early, late = items[:kept], items[kept:]
        else:
            early, late = _halves(items[0], dev_share)
        train += early
        dev += late
    rule = f"the last {dev_share:.0%} of each speaker's utterances, or, of a single one, the last {dev_share:.0%} of it"
    return SpeakerSplit(train, dev, [], rule)


def check_speakers(speakers: Iterable[str]) -> None:
    """Refuses what leaves nobody to be told from."""
    names = sorted(set(speakers))
    if len(names) < 2:
        raise DataError(
            f"Training needs at least two speakers, but has {len(names)} ({', '.join(names) or 'none'}). "
            "Name a folder with one subfolder a speaker."
        )


def all_pairs(recordings: Sequence[Recording], rule: str) -> Trials:
    """Every pair of recordings once.

    Raises
    ------
    DataError
        If the pairs are not of both kinds.

    Example
    -------
    >>> items = [Recording(str(number), Path(), speaker, 1.0) for number, speaker in enumerate("aab")]
    >>> all_pairs(items, "all pairs").pairs.tolist()
    [[0, 1], [0, 2], [1, 2]]
    """
    pairs = np.array(list(combinations(range(len(recordings)), 2)), dtype=int).reshape(-1, 2)
    names = np.array([item.speaker for item in recordings])
    trials = Trials(list(recordings), pairs, names[pairs[:, 0]] == names[pairs[:, 1]], rule)
    check_trials(trials)
    return trials


def check_trials(trials: Trials) -> None:
    """Refuses trials that are not of both kinds."""
    for target, what in ((True, "of one speaker"), (False, "of two speakers")):
        if not (trials.targets == target).any():
            raise DataError(
                f"The trials ({trials.rule}) must have pairs {what}, but have none. "
                "Add utterances: two of one speaker, and another speaker."
            )


def _speaker_of(name: str, folder: Path, speaker_from: str) -> str:
    if speaker_from == "folder":
        speaker, _, rest = name.partition("/")
        cure = "Move it there, or set speaker_from to file_name where names begin with the speaker and a hyphen."
        what = "in its speaker's subfolder"
    else:
        speaker, _, rest = name.rpartition("/")[2].partition("-")
        cure, what = "Rename it, or set speaker_from to folder.", "named SPEAKER-..."
    if not (speaker and rest):
        raise DataError(f"{folder / name} must be {what}, but is not. {cure}")
    return speaker


def _halves(item: Recording, dev_share: float) -> tuple[list[Recording], list[Recording]]:
    """Beginning and end of a single utterance."""
    cut = item.duration * (1 - dev_share)
    if min(cut, item.duration - cut) < _MIN_PART:
        raise DataError(
            f"{item.path} is the one utterance of {item.speaker!r}, and must hold at least "
            f"{_MIN_PART / min(dev_share, 1 - dev_share):.2f} s to be parted into train and dev, but holds "
            f"{item.duration:.2f} s instead. Add an utterance, or leave the speaker out."
        )
    return [replace(item, duration=cut, start=0.0, stop=cut)], [
        replace(item, duration=item.duration - cut, start=cut, stop=item.duration)
    ]
