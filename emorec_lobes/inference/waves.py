"""A front end made of tensor operations alone, so that a program may go from waves to probabilities."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d

from emorec_lobes.features.resemblyzer import LEVEL_DBFS, MEL_HOP_SAMPLES, WINDOW_SAMPLES, analysis, pretrained_lstms
from emorec_lobes.features.speaker import DIM as SPEAKER_DIM
from emorec_lobes.inference.batch import as_stored
from emorec_lobes.inference.graph import SpeechGraph
from emorec_lobes.lengths import frames_to_mask
from emorec_lobes.units import HOP_SAMPLES

# Numbers of utterances and of samples that a random batch has, the most.
_ITEMS, _SAMPLES = 4, 60_000


def takes_waves(graph: nn.Module, hparams: Mapping[str, Any]) -> bool:
    """Whether a graph can be given a front end: of Resemblyzer's layers, and of nobody's other recordings.

    Arguments
    ---------
    graph : torch.nn.Module
        Of `make_graph`.
    hparams : mapping
        The `LoadedModel.hparams` that it was made with.
    """
    return isinstance(graph, SpeechGraph) and hparams["encoder"] == "resemblyzer" and hparams["normalise"] != "speaker"


class WaveGraph(nn.Module):
    """Waves, and a speaker vector where the model takes one -> probabilities: Resemblyzer's network before a graph.

    Arguments
    ---------
    graph : SpeechGraph
        One for which `takes_waves` holds.

    Raises
    ------
    UnavailableError
        If the resemblyzer wheel is not installed.
    """

    def __init__(self, graph: SpeechGraph) -> None:
        super().__init__()
        self.speech = graph  # `graph` is a name that traced modules have already
        self.inputs = ("waves", "num_samples", "speaker")[: 2 + graph.has_speaker]
        self.lstms = pretrained_lstms()[: graph.sizes[0]]
        window, filters = analysis()
        angles = 2 * math.pi / WINDOW_SAMPLES * torch.outer(torch.arange(len(filters)), torch.arange(WINDOW_SAMPLES))
        parts = torch.cat([angles.double().cos(), angles.double().sin()]) * window  # (2 * F, W)
        self.register_buffer("fourier", parts.float().unsqueeze(1))
        self.register_buffer("filters", filters)

    def forward(self, waves: Tensor, num_samples: Tensor, speaker: Tensor | None = None) -> Tensor:
        """(B, S) at 16 kHz, (B,), (B, E) -> (B, K)."""
        hidden = self._power_mels(_raised(waves, num_samples))
        states = []
        for lstm in self.lstms:
            hidden = lstm(hidden)[0]
            states.append(hidden[:, :: HOP_SAMPLES // MEL_HOP_SAMPLES])
        speaker = waves.new_zeros(waves.shape[0], SPEAKER_DIM) if speaker is None else speaker
        layers = as_stored(torch.stack(states, dim=2))  # L x (B, T, D) -> (B, T, L, D)
        return self.speech(layers, num_samples // HOP_SAMPLES + 1, speaker)

    def example(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        """A random batch, waves of random lengths and levels."""
        counts = torch.randint(WINDOW_SAMPLES, _SAMPLES, (_ITEMS,), generator=generator).sort(descending=True).values
        waves = torch.randn(_ITEMS, int(counts[0]), generator=generator) * 10.0 ** -torch.arange(1, _ITEMS + 1)[:, None]
        return (waves, counts, torch.rand(_ITEMS, SPEAKER_DIM, generator=generator))[: len(self.inputs)]

    def _power_mels(self, waves: Tensor) -> Tensor:
        """(B, S) -> (B, T, M): a Fourier transform is a convolution, which every runtime has."""
        parts = conv1d(waves.unsqueeze(1), self.fourier, stride=MEL_HOP_SAMPLES, padding=WINDOW_SAMPLES // 2)
        real, imaginary = parts.chunk(2, dim=1)  # (B, 2 * F, T) -> 2 x (B, F, T)
        return (real.square() + imaginary.square()).mT @ self.filters


def _raised(waves: Tensor, num_samples: Tensor) -> Tensor:
    """Each wave at -30 dBFS if it is quieter, and nothing behind its end."""
    waves = waves * frames_to_mask(num_samples, waves.shape[1])
    level = (waves.double().square().sum(dim=1) / num_samples).sqrt()
    target = 10 ** (LEVEL_DBFS / 20)
    gain = torch.where((level > 0) & (level < target), target / level, torch.ones_like(level))
    return waves * gain.float().unsqueeze(1)
