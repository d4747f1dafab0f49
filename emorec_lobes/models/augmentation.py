"""Augmentation through SpeechBrain's Augmenter: of encoder layers while training, and of waves before extraction."""

import random
from copy import deepcopy

import torch
from torch import Tensor, nn

from emorec_lobes.errors import ConfigError

# What makes an Augmenter give back more, fewer or other items than it got, with the value that does not.
_ONE_TO_ONE = {
    "concat_original": False,
    "parallel_augment": False,
    "repeat_augment": 1,
    "augment_start_index": 0,
    "augment_end_index": None,
}


class SpecAugment(nn.Module):
    """Drops frames and features of encoder layers: the same ones in all layers of an item.

    What is dropped becomes zero, as padding is; how many frames an item has does not change.

    Source: Park 2019 (SpecAugment), section 2.
    Deviates: masks only, since time warping would part the layers from their mel and phone targets; features of
    the layers in place of mel channels.

    Arguments
    ---------
    augmenter : nn.Module
        SpeechBrain's `Augmenter` of `SpectrogramDrop`s: `dim: 1` drops frames, `dim: 2` features.

    Raises
    ------
    ConfigError
        If the augmenter would change which items a batch has, or does more than drop.

    Example
    -------
    >>> from speechbrain.augment.augmenter import Augmenter
    >>> from speechbrain.augment.freq_domain import SpectrogramDrop
    >>> augment = SpecAugment(Augmenter(augmentations=[SpectrogramDrop(dim=1)]))
    >>> augment(torch.ones(2, 96, 3, 256)).shape
    torch.Size([2, 96, 3, 256])
    """

    def __init__(self, augmenter: nn.Module) -> None:
        super().__init__()
        _check_one_to_one(augmenter)
        for drop in augmenter.augmentations.values():
            if getattr(drop, "replace", None) != "zeros" or drop.drop_length_low >= drop.drop_length_high:
                raise ConfigError(
                    "`layer_augment` must hold SpectrogramDrops with `replace: zeros` and a `drop_length_high` above "
                    f"`drop_length_low`, but holds another {type(drop).__name__} instead. Change it."
                )
        self.augmenter = augmenter

    def forward(self, layers: Tensor) -> Tensor:
        """Layers with some frames and features at zero: (B, T, L, D) -> (B, T, L, D)."""
        # Not in the half precision of the store, which autocast on a CPU cannot concatenate.
        ones = torch.ones(layers.shape[0], layers.shape[1], layers.shape[3], device=layers.device)  # (B, T, D)
        kept, _ = self.augmenter(ones, ones.new_ones(len(ones)))
        return layers.masked_fill(kept.unsqueeze(2) == 0, 0)  # (B, T, D) -> (B, T, 1, D)


class WaveAugment(nn.Module):
    """Augments one wave by what a seed draws: no matter which waves came before, and without moving any random state.

    Arguments
    ---------
    augmenter : nn.Module
        SpeechBrain's `Augmenter` of time-domain augmentations. The length may change.

    Raises
    ------
    ConfigError
        If the augmenter would give back more or fewer waves than it got.

    Example
    -------
    >>> from speechbrain.augment.augmenter import Augmenter
    >>> from speechbrain.augment.time_domain import SpeedPerturb
    >>> augment = WaveAugment(Augmenter(augmentations=[SpeedPerturb(orig_freq=16_000, speeds=[80])]))
    >>> augment(torch.rand(16_000), seed=1).shape
    torch.Size([20000])
    """

    def __init__(self, augmenter: nn.Module) -> None:
        super().__init__()
        _check_one_to_one(augmenter)
        self.augmenter = augmenter

    def forward(self, wave: Tensor, seed: int) -> Tensor:
        """16 kHz samples on the CPU and a seed from 0 up -> other samples: (S,) -> (S',)."""
        before = random.getstate()  # SpeechBrain draws from both
        try:
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(seed)
                random.seed(seed)
                # A copy: augmentations remember, e.g. which noise file comes next.
                augmented, _ = deepcopy(self.augmenter)(wave.unsqueeze(0), torch.ones(1))  # (S,) -> (1, S)
        finally:
            random.setstate(before)
        return augmented.squeeze(0)


def _check_one_to_one(augmenter: nn.Module) -> None:
    """Refuses an Augmenter after which a batch would have other items than its targets are of."""
    for name, value in _ONE_TO_ONE.items():
        if getattr(augmenter, name) != value:
            raise ConfigError(
                f"`{name}` of an Augmenter must be {value}, so that every item comes back once and in its place, "
                f"but is {getattr(augmenter, name)} instead. Leave it out."
            )
