"""From features to probabilities in one module of tensors alone: what a model answers, and what can be exported.

Each graph cuts a padded batch of whole utterances into the pieces that its model was evaluated on, and averages their
softmax as the recipe does.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from emorec_lobes.dataio.normalise import whiten
from emorec_lobes.features.speaker import DIM as SPEAKER_DIM
from emorec_lobes.lengths import frames_to_mask

# Numbers of utterances and of frames that a random batch has, the most.
_ITEMS, _FRAMES = 4, 300


class SpeechGraph(nn.Module):
    """Encoder layers and a speaker vector -> probabilities, by segments as in `SERBrain`.

    Arguments
    ---------
    model : torch.nn.Module
        A `CrossRepresentation`.
    hparams : mapping
        Its `LoadedModel.hparams`.
    """

    inputs = ("layers", "num_frames", "speaker")

    def __init__(self, model: nn.Module, hparams: Mapping[str, Any]) -> None:
        super().__init__()
        self.model = model
        self.sizes = (hparams["num_layers"], hparams["encoder_dim"])
        self.whitened = hparams["normalise"] == "utterance"
        self.has_speaker = hparams["enrolment"] != "none"
        self.crop_frames = hparams["crop_frames"]
        self.keep_single_frame_tail = hparams["keep_single_frame_tail"]
        self.by_frames = hparams["segment_weights"] == "frames"

    def forward(self, layers: Tensor, num_frames: Tensor, speaker: Tensor) -> Tensor:
        """(B, T, L, D), (B,), (B, E) -> (B, K).

        Layers are taken as they are stored, and normalised here where the model wants them `utterance` by utterance;
        of a model with `normalise: speaker` they must have been whitened before.
        """
        if self.whitened:
            layers = whiten(layers, *_statistics(layers, num_frames))
        if not self.has_speaker:
            speaker = speaker * 0
        size = self.crop_frames
        num_segments = (layers.shape[1] + size - 1) // size
        layers = pad(layers, (0, 0, 0, 0, 0, num_segments * size - layers.shape[1]))
        segments = layers.reshape(-1, size, *self.sizes)  # (B, N * t, L, D) -> (B * N, t, L, D)
        starts = torch.arange(num_segments, device=layers.device) * size
        counts = (num_frames.unsqueeze(1) - starts).clamp(0, size)  # (B, N)
        if not self.keep_single_frame_tail:
            counts = counts.masked_fill((counts == 1) & (starts > 0), 0)
        owner = torch.arange(counts.numel(), device=layers.device) // num_segments
        vectors = speaker[owner]  # (B, E) -> (B * N, E)
        valid = counts.flatten().clamp(min=1)  # one of none has no mean, and counts for nothing below
        logits = self.model(segments, vectors, num_valid=valid).logits
        weights = (counts if self.by_frames else counts > 0).float()
        return _weighted_mean(logits, weights)

    def example(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        """A random batch, features of utterances of random lengths."""
        layers, counts = _features(generator, *self.sizes)
        return layers, counts, torch.rand(len(counts), SPEAKER_DIM, generator=generator)


class SpectrumGraph(nn.Module):
    """Spectral frames -> probabilities, by windows or whole, as in `ADBrain`.

    Arguments
    ---------
    model : torch.nn.Module
        An `EmotionNetwork`.
    hparams : mapping
        Its `LoadedModel.hparams`.
    """

    inputs = ("spectrum", "num_frames")

    def __init__(self, model: nn.Module, hparams: Mapping[str, Any]) -> None:
        super().__init__()
        self.model = model
        self.dim = hparams["num_mels"] + (hparams["features"] == "fbank")  # the frame's energy beside the bands
        self.whitened = hparams["normalise"] == "utterance"
        self.whole = hparams["eval_windows"] == "whole"
        self.size, self.shift = hparams["crop_frames"], hparams["window_shift"]

    def forward(self, spectrum: Tensor, num_frames: Tensor) -> Tensor:
        """(B, T, M), (B,) -> (B, K).

        Spectra are taken as they are stored, and normalised as `SpeechGraph` has it.
        """
        num_items, longest, _ = spectrum.shape
        if self.whitened:
            spectrum = whiten(spectrum, *_statistics(spectrum, num_frames))
        if self.whole:
            return self.model(spectrum, num_frames / longest).emotion.float().softmax(dim=1)
        # Windows from the start, one every `shift` frames; the last one ends with the utterance.
        last = (num_frames - self.size).clamp(min=0).unsqueeze(1)  # (B, 1)
        num_windows = (torch.sym_max(longest - self.size, 0) + self.shift - 1) // self.shift + 1
        starts = torch.arange(num_windows, device=spectrum.device) * self.shift  # (N,)
        is_real = starts < last + self.shift
        frames = torch.minimum(starts, last).unsqueeze(2) + torch.arange(self.size, device=spectrum.device)
        frames = frames % num_frames.view(-1, 1, 1)  # a shorter utterance is repeated
        windows = spectrum[torch.arange(num_items, device=spectrum.device).view(-1, 1, 1), frames]  # (B, N, t, M)
        return _weighted_mean(self.model(windows.flatten(0, 1)).emotion, is_real.float())

    def example(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        """A random batch, features of utterances of random lengths."""
        return _features(generator, self.dim)


class TextGraph(nn.Module):
    """Token features -> probabilities.

    Arguments
    ---------
    model : torch.nn.Module
        A `TextCNN`.
    hparams : mapping
        Its `LoadedModel.hparams`.
    """

    inputs = ("tokens", "num_tokens")

    def __init__(self, model: nn.Module, hparams: Mapping[str, Any]) -> None:
        super().__init__()
        self.model = model
        self.sizes = (hparams["num_layers"], hparams["encoder_dim"])
        self.most = min(hparams["max_tokens"], _FRAMES)

    def forward(self, tokens: Tensor, num_tokens: Tensor) -> Tensor:
        """(B, N, L, D), (B,) -> (B, K)."""
        return self.model(tokens, num_tokens / tokens.shape[1]).float().softmax(dim=1)

    def example(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        """A random batch, features of utterances of random lengths."""
        return _features(generator, *self.sizes, most=self.most)


class SpeechTextGraph(nn.Module):
    """Encoder layers and token features, of which one may be missing -> probabilities.

    Arguments
    ---------
    model : torch.nn.Module
        A `SpeechTextClassifier`.
    hparams : mapping
        Its `LoadedModel.hparams`.
    """

    inputs = ("layers", "num_frames", "tokens", "num_tokens")

    def __init__(self, model: nn.Module, hparams: Mapping[str, Any]) -> None:
        super().__init__()
        self.model = model
        self.sizes = (hparams["num_layers"], hparams["encoder_dim"])
        self.text_sizes = (hparams["text_num_layers"], hparams["text_encoder_dim"])
        self.most = min(hparams["max_tokens"], _FRAMES)
        self.whitened = hparams["normalise"] == "utterance"

    def forward(self, layers: Tensor, num_frames: Tensor, tokens: Tensor, num_tokens: Tensor) -> Tensor:
        """(B, T, L, D), (B,), (B, N, L', D'), (B,) -> (B, K); a number of 0 says that this side is missing."""
        if self.whitened:
            layers = whiten(layers, *_statistics(layers, num_frames))
        return self.model(layers, num_frames, tokens, num_tokens).float().softmax(dim=1)

    def example(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        """A random batch, of which the last item but one has no text, and the last one no speech."""
        layers, num_frames = _features(generator, *self.sizes)
        tokens, num_tokens = _features(generator, *self.text_sizes, most=self.most)
        num_frames[-1] = num_tokens[-2] = 0
        return layers, num_frames, tokens, num_tokens


GRAPHS = {"speech": SpeechGraph, "ad": SpectrumGraph, "text": TextGraph, "speech_text": SpeechTextGraph}


def make_graph(task: str, model: nn.Module, hparams: Mapping[str, Any]) -> nn.Module:
    """The graph of a `LoadedModel`, in eval mode."""
    return GRAPHS[task](model, hparams).eval()


def _statistics(frames: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and (biased) deviation of each item's valid frames: (B, T, ...), (B,) -> 2 x (B, 1, ...)."""
    weights = frames_to_mask(counts, frames.shape[1]).to(frames.dtype) / counts.clamp(min=1).unsqueeze(1)
    weights = weights.reshape(*weights.shape, *(1,) * (frames.dim() - 2))
    mean = (frames * weights).sum(dim=1, keepdim=True)
    return mean, ((frames - mean).square() * weights).sum(dim=1, keepdim=True).sqrt()


def _weighted_mean(logits: Tensor, weights: Tensor) -> Tensor:
    """Softmax of all pieces, averaged over each item's: (B * N, K), (B, N) -> (B, K)."""
    shares = (weights / weights.sum(dim=1, keepdim=True)).unsqueeze(2)
    return (logits.float().softmax(dim=1).reshape(*weights.shape, logits.shape[1]) * shares).sum(dim=1)


def _features(generator: torch.Generator, *shape: int, most: int = _FRAMES) -> tuple[Tensor, Tensor]:
    """Random features and lengths, the first the longest: (B, T, ...), (B,).

    Each item's are a tenth as large as the last one's: whatever a model is used to, it is in doubt about one of them.
    """
    counts = torch.randint(1, most + 1, (_ITEMS,), generator=generator).sort(descending=True).values
    features = torch.randn(_ITEMS, int(counts[0]), *shape, generator=generator)
    return features * 10.0 ** -torch.arange(_ITEMS).view(-1, *[1] * (features.dim() - 1)), counts
