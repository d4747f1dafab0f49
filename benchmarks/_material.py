"""What the benchmarks run on: noise that swings as syllables do, and wav2vec 2.0 models with random weights."""

from pathlib import Path
from typing import Any

import numpy as np

from emorec_lobes.units import SAMPLE_RATE_HZ, Seconds

SECONDS = (1.5, 6.0)  # of an utterance

_SMALL = {"hidden_size": 256, "num_hidden_layers": 6, "num_attention_heads": 4, "intermediate_size": 1024}
_SMALL |= {"conv_dim": (256,) * 7}
_LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
_LARGE |= {"conv_dim": (512,) * 7}
_SHAPE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}


def noise(duration_s: Seconds, generator: np.random.Generator, level: float = 0.05) -> np.ndarray:
    """(S,), float64, at 16 kHz: two to six swings a second."""
    times = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    swing = 1 + np.sin(2 * np.pi * generator.uniform(2, 6) * times)
    return (level * swing * generator.standard_normal(len(times))).clip(-0.99, 0.99)


def noises(count: int, seed: int) -> list[np.ndarray]:
    """Noises of lengths at random within `SECONDS`, float32."""
    generator = np.random.default_rng(seed)
    return [noise(each, generator).astype(np.float32) for each in generator.uniform(*SECONDS, count)]


def save_wav2vec2(folder: Path, model_class: str, is_large: bool, seed: int, **options: Any) -> tuple[int, int]:
    """A model in the shape of wav2vec2-large, or a small one; its number of hidden states, and their width.

    Arguments
    ---------
    model_class : str
        Of transformers, such as `Wav2Vec2Model`.
    options : dict
        More of its configuration.
    """
    # Only here: a benchmark of memory has no use for them.
    import torch
    import transformers

    from emorec_lobes.features.huggingface import quiet

    torch.manual_seed(seed)
    config = transformers.Wav2Vec2Config(**(_LARGE if is_large else _SMALL), **_SHAPE, **options)
    with quiet():
        getattr(transformers, model_class)(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True).save_pretrained(folder)
    return config.num_hidden_layers + 1, config.hidden_size
