"""A trained model on the disk, opened only after it is checked."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from emorec_lobes.errors import ConfigError
from emorec_lobes.inference.check import load_checked, load_plain, target_of
from emorec_lobes.inference.weights import load_weights

_TASKS = {
    "CrossRepresentation": "speech",
    "EmotionNetwork": "ad",
    "TextCNN": "text",
    "SpeechTextClassifier": "speech_text",
}


@dataclass(frozen=True)
class LoadedModel:
    """A model, and what it was trained with."""

    task: str  # speech, ad, text or speech_text
    hparams: dict[str, Any]  # plain data only
    model: nn.Module  # in eval mode, on the CPU
    source: Path
    temperature: float = 1.0  # calibrates confidence; 1.0 where nothing was fitted
    card: dict[str, Any] = field(default_factory=dict)  # from the run record; {} where unknown


def open_model(
    source: str | Path, *, trust: bool = False, encoder: str | None = None, text_encoder: str | None = None
) -> LoadedModel:
    """A fold folder; verified before anything in it is built, `trust` or not.

    `encoder` and `text_encoder` are folders of encoders that are elsewhere now.

    Raises
    ------
    ConfigError
        If a file is missing or does not fit, or would run what is not known to be safe.
    DataError
        If the weights are missing or damaged.
    """
    folder = Path(source)
    path = folder / "hyperparams.yaml"
    kind = target_of(path, "model").rpartition(".")[2]
    if kind not in _TASKS:
        raise ConfigError(
            f"{folder} must hold a model of train_ser.py, train_ad.py, train_ter.py or train_fusion.py, but holds "
            f"{kind or 'none'} instead. Name a fold of such a run."
        )
    model = load_checked(path, ["model"])["model"].eval()
    load_weights(model, folder / "model.safetensors")
    given = {key: value for key, value in (("encoder", encoder), ("text_encoder", text_encoder)) if value}
    return LoadedModel(_TASKS[kind], load_plain(path) | given, model, folder)
