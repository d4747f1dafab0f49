"""A Hugging Face audio classifier, wrapped as it is: its own labels, its own input, none of its own code."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from emorec_lobes.errors import ConfigError, UnavailableError
from emorec_lobes.features.huggingface import first_line, quiet
from emorec_lobes.features.huggingface_batch import masks_padding, standardise, together
from emorec_lobes.features.huggingface_folder import CONFIG, normalises_input
from emorec_lobes.features.huggingface_precision import Precise
from emorec_lobes.inference.batch import Batch, Scores, Tap, check_finite
from emorec_lobes.inference.model_folder import LoadedModel
from emorec_lobes.units import SAMPLE_RATE_HZ

# How the names of such classifiers end.
SHAPE = "ForSequenceClassification"

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder is transformers' rather than ours."""
    return (folder / CONFIG).is_file() and not (folder / "hyperparams.yaml").exists()


def open_checkpoint(folder: Path) -> LoadedModel:
    """Loads a classifier of raw waves with every weight from its file.

    Arguments
    ---------
    folder : Path
        With `config.json` of e.g. `Wav2Vec2ForSequenceClassification`, and safetensors.

    Raises
    ------
    ConfigError
        If it is no such model, or has weights in another form.
    UnavailableError
        If its weights are damaged or incomplete.
    """
    from transformers import AutoConfig, AutoModelForAudioClassification

    _check_form(folder)
    safely = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(folder, **safely)
        with quiet():
            model, info = AutoModelForAudioClassification.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                output_loading_info=True,
                **safely,
            )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise UnavailableError(f"{folder} cannot be loaded ({first_line(error)}). Get the model again.") from None
    missing = sorted(key for key in info["missing_keys"] if not key.endswith("masked_spec_embed"))
    if missing or info["mismatched_keys"]:
        wrong = missing or sorted(map(str, info["mismatched_keys"]))
        raise UnavailableError(
            f"The weights in {folder} must be complete, but {len(wrong)} tensors are missing or of another size, the "
            f"first is {wrong[0]}. They would be left random: get the model again."
        )
    labels = [config.id2label[index] for index in range(config.num_labels)]
    if len(set(labels)) < len(labels):
        raise ConfigError(f"The labels of {folder} must differ, but are {', '.join(labels)}. Mend its {CONFIG}.")
    return LoadedModel("checkpoint", {"labels": labels, "input": _input(folder)}, model.eval(), folder, 1.0, {})


class CheckpointSystem:
    """Waves in, probabilities out.

    Arguments
    ---------
    hparams : mapping
        As `open_checkpoint` gives them.
    model : torch.nn.Module
        The classifier, on its device.
    device : str
    precision : str
        `fp32`, `bf16` or `int8`.
    """

    takes_audio = True
    takes_text = False
    knows_speakers = False
    needs_enrolment = False

    def __init__(self, hparams: Mapping[str, Any], model: nn.Module, device: str, precision: str) -> None:
        self._standardises = hparams["input"] == "standardised"
        self._pads = masks_padding(model.config)
        self._device = device
        self._model = Precise(model, precision)
        self._tap = Tap(model.classifier)  # which may be another module now

    @torch.inference_mode()
    def __call__(self, batch: Batch) -> Scores:
        """Softmax of each utterance, whole."""
        waves = [standardise(wave) if self._standardises else wave for wave in batch.waves]
        rows = together(waves, self._forward, self._pads, self._model.most_samples)
        check_finite(rows, batch.names, "the model")
        logits, embeddings = (torch.stack(column) for column in zip(*(self._split(row) for row in rows), strict=True))
        return Scores(logits.softmax(dim=1), embeddings)

    def _forward(self, waves: Tensor, mask: Tensor | None) -> Tensor:
        """(B, S) waves and their mask -> logits and embeddings side by side, (B, K + E)."""
        masked = {} if mask is None else {"attention_mask": mask.to(self._device)}
        logits = self._model(waves.to(self._device), **masked).logits
        self._num_classes = logits.shape[1]
        return torch.cat([logits.float(), self._tap.seen.float()], dim=1).cpu()

    def _split(self, row: Tensor) -> tuple[Tensor, Tensor]:
        return row[: self._num_classes], row[self._num_classes :]


def _check_form(folder: Path) -> None:
    """Refuses, before anything is loaded, what is no classifier of waves, brings code, or has pickled weights."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        kinds = list(config.get("architectures") or [])
        brings_code = bool(config.get("auto_map"))
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ConfigError(f"{folder / CONFIG} is not valid JSON ({first_line(error)}). Get the model again.") from None
    if brings_code:
        raise ConfigError(f"{folder} must run without code of its own, but its {CONFIG} names some. Do not use it.")
    if len(kinds) != 1 or not str(kinds[0]).endswith(SHAPE):
        raise ConfigError(
            f"{folder} must hold a classifier of waves such as Wav2Vec2{SHAPE}, but its {CONFIG} says "
            f"{', '.join(map(str, kinds)) or 'nothing'} instead. Name another folder or hub id."
        )
    if not any((folder / name).is_file() for name in _WEIGHTS):
        raise ConfigError(f"{folder} must hold {_WEIGHTS[0]}, but does not. Convert its weights to safetensors.")


def _input(folder: Path) -> str:
    """Whether waves are to be standardised, as its own processor would."""
    path = folder / "preprocessor_config.json"
    options = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    rate = options.get("sampling_rate", SAMPLE_RATE_HZ)
    if rate != SAMPLE_RATE_HZ:
        raise ConfigError(f"{folder} must take {SAMPLE_RATE_HZ} Hz, but takes {rate} instead. Name another model.")
    return "standardised" if normalises_input(folder) else "as it is"
