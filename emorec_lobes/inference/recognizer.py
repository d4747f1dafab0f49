"""Trained models answering for audio and text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from speechbrain.inference.interfaces import Pretrained
from torch import Tensor

from emorec_lobes.errors import ConfigError, DataError
from emorec_lobes.features.audio_reader import AudioReader
from emorec_lobes.features.huggingface_precision import FP32
from emorec_lobes.features.speech import check_device
from emorec_lobes.inference.checkpoint import is_checkpoint, open_checkpoint
from emorec_lobes.inference.engine import Engine
from emorec_lobes.inference.hub import locate_folder
from emorec_lobes.inference.inputs import Heard, Input, as_samples, hear, utterances, warnings_of_file
from emorec_lobes.inference.listing import audio_files
from emorec_lobes.inference.model_folder import open_model
from emorec_lobes.inference.prediction import Prediction, Question
from emorec_lobes.inference.stream import Stream
from emorec_lobes.inference.timeline import Timeline
from emorec_lobes.lengths import lens_to_frames
from emorec_lobes.units import SAMPLE_RATE_HZ, Hertz, Seconds

WINDOW_S: Seconds = 3.0
SHIFT_S: Seconds = 1.0


class EmotionRecognizer(Pretrained):
    """Recognises the emotion of utterances, of long recordings and of streams.

    Arguments
    ---------
    modules : mapping
        `model`: the trained network.
    hparams : mapping
        `labels`, what the model was trained with, and `temperature` if its confidence was calibrated.
    run_opts : mapping, optional
        SpeechBrain's; `device`.
    precision : str
        `fp32`; or `bf16` for the matrices of Hugging Face models, which is faster where the processor knows it; or
        `int8`, for CPUs that know int8 (VNNI) and no bf16.
    batch_size : int
        Utterances of about one length that go through the model together. It changes speed, not answers.
    max_duration_s, max_timeline_s : float
        The longest utterance, and the longest recording of a timeline, that is not refused.

    Example
    -------
    >>> recognizer = EmotionRecognizer.from_hparams("results/ser_resemblyzer/emodb/seed_1/fold_1")  # doctest: +SKIP
    >>> recognizer.predict("a.wav").label  # doctest: +SKIP
    'happy'
    """

    HPARAMS_NEEDED = ("labels",)
    MODULES_NEEDED = ("model",)

    def __init__(
        self,
        modules: dict[str, Any],
        hparams: dict[str, Any],
        run_opts: dict[str, Any] | None = None,
        freeze_params: bool = True,
        *,
        precision: str = FP32,
        batch_size: int = 16,
        max_duration_s: Seconds = 300.0,
        max_timeline_s: Seconds = 4 * 3600.0,
    ) -> None:
        super().__init__(modules, hparams, {"device": "cpu"} | (run_opts or {}), freeze_params)
        self.labels: tuple[str, ...] = tuple(hparams["labels"])
        self._temperature = float(hparams.get("temperature", 1.0))
        self._max_duration_s, self._max_timeline_s = max_duration_s, max_timeline_s
        self._engine = Engine(hparams, self.mods["model"], self.device, precision, batch_size)

    @classmethod
    def from_hparams(
        cls,
        source: str | Path,
        *,
        device: str = "cpu",
        enrol: str | Path | None = None,
        trust: bool = False,
        encoder: str | None = None,
        text_encoder: str | None = None,
        **options: Any,
    ) -> "EmotionRecognizer":
        """Opens a model.

        Arguments
        ---------
        source : str or Path
            A fold of a run, a folder that was exported, a folder of a Hugging Face audio classifier, or a hub id.
        device : str
        enrol : str or Path, optional
            A folder with more audio of the one speaker that will be heard.
        trust : bool
            Whether to build whatever the folder names.
        encoder, text_encoder : str, optional
            Folder of the encoder, where the model was trained on a local one that is elsewhere now.
        **options
            `precision`, `batch_size`, `max_duration_s` and `max_timeline_s`, as the class takes them.

        Raises
        ------
        ConfigError, DataError, UnavailableError
            If it cannot be opened or used; or the model was normalised over speakers, and nobody is enrolled.
        """
        check_device(device)
        folder = locate_folder(source)
        encoders = {"encoder": encoder, "text_encoder": text_encoder}
        loaded = open_checkpoint(folder) if is_checkpoint(folder) else open_model(folder, trust=trust, **encoders)
        hparams = loaded.hparams | {"temperature": loaded.temperature, "card": loaded.card}
        recognizer = cls({"model": loaded.model}, hparams, {"device": device}, **options)
        recognizer.enrol(enrol)
        return recognizer

    @property
    def takes_audio(self) -> bool:
        """Whether the model hears."""
        return self._engine.system.takes_audio

    @property
    def takes_text(self) -> bool:
        """Whether the model reads."""
        return self._engine.system.takes_text

    def enrol(self, folder: str | Path | None) -> None:
        """Makes the model know a speaker, by a folder of their audio.

        Raises
        ------
        ConfigError
            If the model needs that and gets None, or gets it and has no use for it.
        """
        if folder is None and self._engine.system.needs_enrolment:
            raise ConfigError(
                "The model expects features normalised over a whole speaker, which one utterance cannot give. Name a "
                "folder of more audio of the speaker with `enrol` (--enrol), or use another model."
            )
        if folder is None:
            return
        if not self._engine.system.knows_speakers:
            raise ConfigError("`enrol` must be left out for this model, which is told nothing of speakers. Drop it.")
        self._engine.enrol([self.hear(path) for path in audio_files(Path(folder))])

    def hear(self, source: Input, sample_rate_hz: Hertz | None = None, name: str = "the audio") -> Heard:
        """Takes an utterance in, as `predict` does; `predict` takes the result in its place."""
        return hear(source, name, sample_rate_hz, self._max_duration_s)

    def predict(
        self,
        inputs: Input | Heard | Sequence[Input | Heard] | None = None,
        *,
        text: str | Sequence[str | None] | None = None,
        sample_rate_hz: Hertz | None = None,
        labels: Sequence[str] | None = None,
        threshold: float | None = None,
        embeddings: bool = False,
    ) -> Prediction | list[Prediction]:
        """The emotion of one utterance, or of each of a list.

        Arguments
        ---------
        inputs : path, bytes, array, tensor, or a list of these; optional
            Files, their content, or samples: (S,), or with channels as the shorter axis. None where there is only text.
        text : str or list, optional
            What is said, where the model reads; one for each input.
        sample_rate_hz : int, optional
            Of samples.
        labels : sequence of str, optional
            The only labels that may be answered; their probabilities add up to 1.
        threshold : float, optional
            The least confidence of an answer; below, its label is None.
        embeddings : bool
            Whether to add what the classifier saw.

        Returns
        -------
        Prediction or list of Prediction

        Raises
        ------
        DataError
            If an input cannot be used.
        """
        question = Question(self.labels, self._temperature, labels, threshold)
        uses = (self.takes_audio, self.takes_text)
        heard, texts = utterances(inputs, text, lambda item, name: self.hear(item, sample_rate_hz, name), uses)
        waves = [None if self._says_nothing(*each) else each[0].wave for each in zip(heard, texts, strict=True)]
        scores = self._engine.scores(waves, texts, [each.name for each in heard])
        answers = []
        for each, score in zip(heard, scores, strict=True):
            facts = {"warnings": each.warnings, "duration_s": each.duration_s}
            if score is None:
                answers.append(question.nothing(**facts))
            else:
                facts["embedding"] = score.embedding if embeddings else None
                answers.append(question.answer(score.probabilities, **facts))
        is_list = isinstance(inputs, list | tuple) or isinstance(text, list | tuple)
        return answers if is_list else answers[0]

    def classify_batch(self, wavs: Tensor, wav_lens: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, list[str]]:
        """SpeechBrain's way to ask: padded 16 kHz waves (B, S) and their relative lengths (B,).

        Returns
        -------
        out_prob : torch.Tensor, (B, K)
            Log probabilities.
        score : torch.Tensor, (B,)
            That of the best label.
        index : torch.Tensor, (B,)
        text_lab : list of str
        """
        wavs = torch.as_tensor(wavs).float().cpu()
        wavs = wavs.unsqueeze(0) if wavs.dim() == 1 else wavs
        lens = torch.ones(len(wavs)) if wav_lens is None else torch.as_tensor(wav_lens).float().cpu()
        counts = lens_to_frames(lens, wavs.shape[1]).tolist()
        names = [f"wave {index} of the batch" for index in range(len(wavs))]
        items = zip(wavs, counts, names, strict=True)
        return self._tuple([self.hear(wave[:count], SAMPLE_RATE_HZ, name) for wave, count, name in items])

    def classify_file(self, path: str | Path, **options: Any) -> tuple[Tensor, Tensor, Tensor, list[str]]:
        """As `classify_batch`, of one audio file at any rate; SpeechBrain's further options change nothing."""
        return self._tuple([self.hear(path)])

    def forward(self, wavs: Tensor, wav_lens: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, list[str]]:
        """`classify_batch`."""
        return self.classify_batch(wavs, wav_lens)

    def load_audio(self, path: str | Path, savedir: str | None = None) -> Tensor:
        """A file as 16 kHz mono, (S,); nothing is written anywhere."""
        return self.hear(path).wave.to(self.device)

    def timeline(
        self,
        inputs: Input,
        *,
        sample_rate_hz: Hertz | None = None,
        window_s: Seconds = WINDOW_S,
        shift_s: Seconds = SHIFT_S,
        labels: Sequence[str] | None = None,
    ) -> Timeline:
        """What is felt when in a recording; a file is read in blocks: hours need no more memory than minutes.

        Arguments
        ---------
        inputs, sample_rate_hz, labels
            As `predict`, of one recording.
        window_s : float
            What the model hears at once.
        shift_s : float
            The stretch in the middle of that for which its answer stands.

        """
        if not isinstance(inputs, str | Path | bytes):
            samples = as_samples(inputs, "the audio")
            stream = self.stream(sample_rate_hz or 0, window_s=window_s, shift_s=shift_s, labels=labels)
            segments = [*stream.push(samples), *stream.finish()]
            return Timeline(tuple(segments), stream.duration_s, tuple(labels or self.labels))
        reader = AudioReader(inputs, max_duration_s=self._max_timeline_s)
        stream = self.stream(SAMPLE_RATE_HZ, window_s=window_s, shift_s=shift_s, labels=labels)
        segments = [segment for block in reader for segment in stream.push(block)] + stream.finish()
        if not stream.duration_s:
            raise DataError(f"{reader.name} must hold audio, but holds none. Leave it out.")
        warnings = warnings_of_file(reader) + (("truncated",) if reader.is_truncated else ())
        return Timeline(tuple(segments), stream.duration_s, tuple(labels or self.labels), reader.name, warnings)

    def stream(
        self,
        sample_rate_hz: Hertz,
        *,
        window_s: Seconds = WINDOW_S,
        shift_s: Seconds = SHIFT_S,
        labels: Sequence[str] | None = None,
    ) -> Stream:
        """Something that takes chunks of samples and gives segments as they are complete; arguments as `timeline`."""
        if not self.takes_audio:
            raise ConfigError("The model reads text, and hears nothing. Use a model of speech.")
        question = Question(self.labels, self._temperature, labels)
        return Stream(self._engine.rows, question, sample_rate_hz, window_s, shift_s)

    def _says_nothing(self, heard: Heard, text: str | None) -> bool:
        return heard.is_silent and not (text and self.takes_text)

    def _tuple(self, heard: list[Heard]) -> tuple[Tensor, Tensor, Tensor, list[str]]:
        """SpeechBrain's answer, also for silence, of which the model says what it says."""
        scores = self._engine.scores([each.wave for each in heard], [None] * len(heard), [each.name for each in heard])
        out_prob = torch.from_numpy(np.stack([each.probabilities for each in scores])).log()
        score, index = out_prob.max(dim=1)
        return out_prob, score, index, [self.labels[position] for position in index.tolist()]
