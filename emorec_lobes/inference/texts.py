"""The models that read: the text CNN of train_ter.py, and the classifier of speech and text of train_fusion.py."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from emorec_lobes.features.text import load_text_encoder
from emorec_lobes.features.text_brackets import check_transcript
from emorec_lobes.inference.batch import Batch, Scores, Tap, as_stored, check_finite
from emorec_lobes.inference.layers import Layers


class TextSystem:
    """Texts in, probabilities out.

    Arguments
    ---------
    hparams : mapping
        Of the training.
    model : torch.nn.Module
        A `TextCNN`, trained, on its device.
    device : str
    precision : str
        Left to the encoder, which runs as it did in training.
    """

    takes_audio = False
    takes_text = True
    knows_speakers = False
    needs_enrolment = False

    def __init__(self, hparams: Mapping[str, Any], model: nn.Module, device: str, precision: str) -> None:
        self._tokens = _Tokens(hparams, "", device)
        self._model, self._device = model, device
        self._tap = Tap(model.output)

    @torch.inference_mode()
    def __call__(self, batch: Batch) -> Scores:
        """Softmax of each text."""
        tokens = self._tokens(batch)
        counts = torch.tensor([len(each) for each in tokens])
        lens = (counts / counts.max()).to(self._device)
        logits = self._model(pad_sequence(tokens, batch_first=True).to(self._device), lens)
        return Scores(logits.float().softmax(dim=1).cpu(), self._tap.seen.float().cpu())


class SpeechTextSystem:
    """Waves, texts or both in, probabilities out.

    Arguments
    ---------
    hparams : mapping
        Of the training.
    model : torch.nn.Module
        A `SpeechTextClassifier`, trained, on its device.
    device, precision : str
        As `load_encoder`; the text's encoder runs as it did in training.
    """

    takes_audio = True
    takes_text = True

    def __init__(self, hparams: Mapping[str, Any], model: nn.Module, device: str, precision: str) -> None:
        self._layers = Layers(hparams, device, precision)
        self._tokens = _Tokens(hparams, "text_", device)
        self._no_frames = torch.zeros(1, hparams["num_layers"], hparams["encoder_dim"])
        self._no_tokens = torch.zeros(1, hparams["text_num_layers"], hparams["text_encoder_dim"])
        self._model, self._device = model, device
        self._tap = Tap(model.output)

    @property
    def knows_speakers(self) -> bool:
        """Whether enrolment changes anything."""
        return self._layers.knows_speakers

    @property
    def needs_enrolment(self) -> bool:
        """Whether there is no answer without it."""
        return self._layers.knows_speakers

    def enrol(self, batches: list[Batch]) -> None:
        """Learns a speaker from their audio."""
        self._layers.enrol(batches)

    @torch.inference_mode()
    def __call__(self, batch: Batch) -> Scores:
        """Softmax of each utterance, from what is there of it."""
        heard = [index for index, wave in enumerate(batch.waves) if len(wave)]
        read = [index for index, text in enumerate(batch.texts) if text]
        layers = self._layers(batch.part(heard)) if heard else []
        tokens = self._tokens(batch.part(read)) if read else []
        inputs = []
        for indices, features, none in ((heard, layers, self._no_frames), (read, tokens, self._no_tokens)):
            of_item = dict(zip(indices, features, strict=True))
            columns = [of_item.get(index, none) for index in range(len(batch.names))]
            counts = [len(of_item.get(index, ())) for index in range(len(batch.names))]
            inputs += [pad_sequence(columns, batch_first=True), torch.tensor(counts)]
        logits = self._model(*(each.to(self._device) for each in inputs))
        return Scores(logits.float().softmax(dim=1).cpu(), self._tap.seen.float().cpu())


class _Tokens:
    """The tokens of a text encoder, as the feature store would give them."""

    def __init__(self, hparams: Mapping[str, Any], prefix: str, device: str) -> None:
        self._name = hparams[f"{prefix}encoder"]
        self._encoder = load_text_encoder(
            self._name,
            hparams[f"{prefix}num_layers"],
            hparams[f"{prefix}encoder_dim"],
            hparams["brackets"],
            hparams["max_tokens"],
            device,
        )

    def __call__(self, batch: Batch) -> list[Tensor]:
        """The tokens of each text, (N, L, D); DataError where there is none."""
        for text, name in zip(batch.texts, batch.names, strict=True):
            check_transcript(text, name)
        tokens = self._encoder.batch(batch.texts)
        check_finite(tokens, batch.names, self._name)
        return [as_stored(each) for each in tokens]
