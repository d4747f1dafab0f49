"""Waves through a Hugging Face model together: padded where a mask keeps the padding out, else of one length only."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from emorec_lobes.features.by_length import by_length
from emorec_lobes.lengths import frames_to_mask

# Of these, frames see each other only where the mask is: behind convolutions that each normalise a frame by itself.
_MASKABLE = ("wav2vec2", "hubert", "wavlm", "unispeech-sat")


def masks_padding(config: Any) -> bool:
    """Whether an attention mask makes a model deaf to what a wave is padded with.

    Group norm takes its mean over all of the time axis, padding included, and data2vec's second positional
    convolution hears what the first made of it.

    Example
    -------
    >>> from transformers import Wav2Vec2Config
    >>> masks_padding(Wav2Vec2Config(feat_extract_norm="layer")), masks_padding(Wav2Vec2Config())
    (True, False)
    """
    return (
        config.model_type in _MASKABLE
        and config.feat_extract_norm == "layer"
        and not getattr(config, "conv_pos_batch_norm", False)
    )


def together(
    inputs: Sequence[Tensor], forward: Callable[[Tensor, Tensor | None], Tensor], pads: bool, most_samples: int
) -> list[Tensor]:
    """Runs waves through a model in forwards that give each what it would get alone.

    Arguments
    ---------
    inputs : sequence of torch.Tensor, (S,)
    forward : callable
        (B, S) waves and (B, S) int64 mask, or None where all is real -> something with a batch axis first.
    pads : bool
        As `masks_padding` says.
    most_samples : int
        Of a forward, padding included; a wave that is longer goes alone.

    Returns
    -------
    list of torch.Tensor
        One for each input, without the batch axis; behind its own frames stand those of its padding.

    Example
    -------
    >>> waves = [torch.ones(3), torch.ones(2), torch.ones(3)]
    >>> together(waves, lambda batch, _: torch.full((len(batch),), len(batch)), pads=False, most_samples=9)
    [tensor(2), tensor(1), tensor(2)]
    """
    groups: dict[int, list[int]] = defaultdict(list)
    for index, wave in enumerate(inputs):
        groups[0 if pads else len(wave)].append(index)
    found: dict[int, Tensor] = {}
    for group in groups.values():
        for part in by_length([len(inputs[index]) for index in group], len(group), most_samples):
            waves = [inputs[group[place]] for place in part]
            counts = torch.tensor([len(wave) for wave in waves])
            is_even = bool((counts == counts[0]).all())
            mask = None if is_even else frames_to_mask(counts, int(counts.max())).long()
            rows = forward(pad_sequence(waves, batch_first=True), mask)
            found |= {group[place]: row for place, row in zip(part, rows, strict=True)}
    return [found[index] for index in range(len(inputs))]


def standardise(wave: Tensor) -> Tensor:
    """Zero mean and unit variance over the signal, as the models' own processor does it."""
    return (wave - wave.mean()) / (wave.var(correction=0) + 1e-7).sqrt()
