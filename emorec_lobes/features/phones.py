"""One phone id a 20 ms frame: what the phone encoder reads while training. Inference needs none."""

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from emorec_lobes.corpora.manifest import Utterance, locate
from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.features.aligners import PocketSphinxAligner
from emorec_lobes.features.alignments import Segment, read_alignment
from emorec_lobes.features.phone_table import (
    NUM_PHONES,
    SILENCE_ID,
    TABLE_VERSION,
    TOKENS,
    UNKNOWN_ID,
    phone_id,
)
from emorec_lobes.features.store import FeatureStore
from emorec_lobes.units import FRAME_SHIFT_S, SAMPLE_RATE_HZ, Seconds, num_frames

ALIGNERS = ("none", "file", "pocketsphinx")

_SHORTEST_US = 2_000
_FRAME_US = round(FRAME_SHIFT_S * 1_000_000)
_TOKENS_ONLY = re.compile(r"\s*(?:\[\w+\][\s.,]*)+", re.ASCII)


def frame_ids(segments: Iterable[Segment], num_frames: int, duration_s: Seconds) -> np.ndarray:
    """Phones in absolute time -> one id a frame.

    Frame `t` stands for the 20 ms around `t` * 20 ms; the phone that covers most of it wins, the first of two that
    cover it alike, silence being whatever no phone covers. Phones shorter than 2 ms are ignored.

    Source: Makiuchi 2021, section 3.1.

    Arguments
    ---------
    segments : iterable of Segment
    num_frames : int
        T.
    duration_s : float
        Of the audio: what lies outside counts for nothing.

    Returns
    -------
    np.ndarray, (T,), uint8

    Example
    -------
    >>> frame_ids([Segment(0.015, 0.05, "AY_S")], num_frames=4, duration_s=0.06).tolist()
    [0, 120, 120, 0]
    """
    edges_us = np.arange(num_frames + 1) * _FRAME_US - _FRAME_US // 2
    edges_us = np.clip(edges_us, 0, round(duration_s * 1_000_000))
    # Twice the overlap, so that being there when the frame begins decides where overlaps are equal, and only there.
    score = np.zeros((num_frames, NUM_PHONES), dtype=np.int64)
    gap = 2 * np.diff(edges_us) + 1
    for segment in segments:
        start_us, stop_us = round(segment.start_s * 1_000_000), round(segment.stop_s * 1_000_000)
        if stop_us - start_us >= _SHORTEST_US:
            begins_with_it = (start_us <= edges_us[:-1]) & (edges_us[:-1] < stop_us)
            part = 2 * np.diff(np.clip(edges_us, start_us, stop_us)) + begins_with_it
            score[:, phone_id(segment.label)] += part
            gap -= part
    score[:, SILENCE_ID] += np.maximum(gap, 0)
    return score.argmax(axis=1).astype(np.uint8)


class PhoneExtractor:
    """Phone ids of utterances.

    Source: Makiuchi 2021, section 3.1, aligns with Gentle, whose files `file` reads.
    Deviates: the table of ids is fixed; an utterance that cannot be aligned is unknown throughout and stays.

    Arguments
    ---------
    aligner : str
        `file`: the alignment file that the manifest names; `pocketsphinx`: aligned here, English only; `none`: no
        phones, every frame is unknown.

    Raises
    ------
    ConfigError
        If the aligner is none of these.
    UnavailableError
        If PocketSphinx is asked for and not installed.

    Example
    -------
    >>> utterance = Utterance("a", "a.wav", duration=1.0, emotion="sad", raw_emotion="sad", text="[BREATHING]")
    >>> PhoneExtractor("file")(torch.zeros(640), utterance, Path("."))
    tensor([3, 3, 3], dtype=torch.uint8)
    """

    def __init__(self, aligner: str) -> None:
        if aligner not in ALIGNERS:
            raise ConfigError(not_one_of("aligner", aligner, ALIGNERS))
        self.aligner = aligner
        self._align = PocketSphinxAligner() if aligner == "pocketsphinx" else None

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the ids besides audio, transcript and alignment file."""
        return {"aligner": self.aligner, "table": TABLE_VERSION, **(self._align.identity if self._align else {})}

    def __call__(self, wave: Tensor, utterance: Utterance, data_folder: Path) -> Tensor:
        """Phones of one utterance.

        Arguments
        ---------
        wave : torch.Tensor, (S,)
            16 kHz.
        utterance : Utterance
            Its `phones` or its `text` is used.
        data_folder : Path
            Fills in `{data_root}`.

        Returns
        -------
        torch.Tensor, (T,), uint8

        Raises
        ------
        DataError
            If the alignment file is broken.
        """
        frames = num_frames(len(wave))
        token = token_alone(utterance.text)
        if self.aligner == "none":
            return _constant(UNKNOWN_ID, frames)
        if token is not None:
            return _constant(phone_id(token), frames)
        segments = self._segments(wave, utterance, data_folder)
        if not segments:
            return _constant(UNKNOWN_ID, frames)
        return torch.from_numpy(frame_ids(segments, frames, len(wave) / SAMPLE_RATE_HZ))

    def _segments(self, wave: Tensor, utterance: Utterance, data_folder: Path) -> list[Segment] | None:
        if self._align is not None:
            return self._align(wave, utterance.text or "")
        if utterance.phones is None:
            return None
        offset_s = utterance.start or 0.0  # files count from the start of the recording
        duration_s = offset_s + len(wave) / SAMPLE_RATE_HZ
        segments = read_alignment(locate(utterance.phones, data_folder), duration_s)
        return [Segment(item.start_s - offset_s, item.stop_s - offset_s, item.label) for item in segments]


def unaligned(store: FeatureStore, ids: Iterable[str]) -> list[str]:
    """The utterances without an alignment: those that are unknown throughout.

    Arguments
    ---------
    store : FeatureStore
        Of phones. One that no aligner filled has nothing to miss.
    ids : iterable of str

    Returns
    -------
    list of str
        In the order of `ids`.
    """
    if store.header.identity["aligner"] == "none":
        return []
    return [item for item in ids if bool((store.read(item) == UNKNOWN_ID).all())]


def warn_of_unaligned(missing: Sequence[str], num_utterances: int) -> None:
    """Says it in one line on stderr if there are utterances without an alignment."""
    if missing:
        counts = f"{len(missing)} of {num_utterances} utterances"
        print(
            f"{counts} have no alignment: all their phones are unknown. The first is {missing[0]!r}.", file=sys.stderr
        )


def token_alone(text: str | None) -> str | None:
    """The bracket token that is all of a transcript; the first, if there are several.

    Example
    -------
    >>> token_alone("[LAUGHTER]"), token_alone("[LAUGHTER] Oh."), token_alone(None)
    ('LAUGHTER', None, None)
    """
    if text is None or not _TOKENS_ONLY.fullmatch(text):
        return None
    return next((name for name in re.findall(r"\w+", text.upper()) if name in TOKENS), None)


def _constant(number: int, frames: int) -> Tensor:
    return torch.full((frames,), number, dtype=torch.uint8)
