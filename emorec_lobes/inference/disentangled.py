"""The spectral models of train_ad.py, answering for whole utterances."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from emorec_lobes.dataio.normalise import loses_own_mean
from emorec_lobes.dataio.spectrum import windows_of
from emorec_lobes.features.spectrum import FBANK, Spectrum
from emorec_lobes.inference.batch import Batch, Scores, Tap, as_stored, check_finite, weighted_means
from emorec_lobes.inference.normalisation import Normalisation
from emorec_lobes.lengths import lens_to_frames

# Windows that go through the model together: a long file must not fill the memory.
_WINDOWS = 64


class DisentangledSystem:
    """Waves in, probabilities out.

    Arguments
    ---------
    hparams : mapping
        Of the training.
    model : torch.nn.Module
        An `EmotionNetwork`, trained, on its device.
    device : str
    precision : str
        Left to the model, which has no matrices that halving would speed up.
    """

    takes_audio = True
    takes_text = False

    def __init__(self, hparams: Mapping[str, Any], model: nn.Module, device: str, precision: str) -> None:
        self._spectrum = Spectrum(
            hparams["features"],
            hparams["num_mels"],
            hparams["window_ms"],
            hparams["hop_ms"],
            hparams["vad"],
            hparams["vad_options"],
            loses_own_mean(hparams),
        )
        self._normalise = Normalisation(hparams["normalise"])
        self._crop_frames, self._window_shift = hparams["crop_frames"], hparams["window_shift"]
        self._is_whole = hparams["eval_windows"] == "whole"
        self._model, self._device = model, device
        self._tap = Tap(model.heads)

    @property
    def knows_speakers(self) -> bool:
        """Whether a speaker's other audio sets the scale."""
        return self._normalise.by_speaker

    needs_enrolment = knows_speakers

    @torch.inference_mode()
    def enrol(self, batches: list[Batch]) -> None:
        """Takes the scale from all of a speaker's audio."""
        self._normalise.enrol(each for batch in batches for each in self._spectra(batch))

    @torch.inference_mode()
    def __call__(self, batch: Batch) -> Scores:
        """Softmax of the whole utterance, or its mean over windows, as in training's evaluation."""
        spectra = self._normalise(self._spectra(batch))
        check_finite(spectra, batch.names, "the model")
        return self._of_whole(spectra) if self._is_whole else self._of_windows(spectra)

    def _spectra(self, batch: Batch) -> list[Tensor]:
        """Frames of each utterance as the store would give them, (T, M)."""
        samples = torch.tensor([len(wave) for wave in batch.waves])
        lens = samples / samples.max()
        features, lens = self._spectrum(pad_sequence(batch.waves, batch_first=True), lens, batch.names)
        counts = lens_to_frames(lens, features.shape[1]).tolist()
        spectra = [each[:count] for each, count in zip(features, counts, strict=True)]
        return [as_stored(each) for each in spectra] if self._spectrum.kind == FBANK else spectra

    def _of_whole(self, spectra: list[Tensor]) -> Scores:
        counts = torch.tensor([len(each) for each in spectra])
        lens = (counts / counts.max()).to(self._device)
        scores = self._model(pad_sequence(spectra, batch_first=True).to(self._device), lens)
        return Scores(scores.emotion.float().softmax(dim=1).cpu(), self._tap.seen.float().cpu())

    def _of_windows(self, spectra: list[Tensor]) -> Scores:
        cut = [windows_of(each, self._crop_frames, self._window_shift) for each in spectra]
        owners = torch.arange(len(cut)).repeat_interleave(torch.tensor([len(each) for each in cut]))
        probabilities, embeddings = [], []
        for part in torch.cat(cut).split(_WINDOWS):
            probabilities.append(self._model(part.to(self._device)).emotion.float().softmax(dim=1))
            embeddings.append(self._tap.seen)
        means = (torch.cat(each) for each in (probabilities, embeddings))
        return Scores(*(weighted_means(each, torch.ones(len(owners)), owners, len(cut)) for each in means))
