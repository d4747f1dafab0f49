"""What kinds of trained models there are: the network of each, and what of its hyperparameters inference needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from emorec_lobes.errors import ConfigError
from emorec_lobes.inference.check import target_of

_ENCODER = ("encoder", "num_layers", "encoder_dim")
_TEXT = ("brackets", "max_tokens")


@dataclass(frozen=True)
class Task:
    """One kind of model."""

    name: str
    title: str  # in words
    target: str  # dotted name of the network's class
    keys: tuple[str, ...]  # hyperparameters that inference needs, beside `labels`
    training_only: tuple[str, ...]  # beginnings of the names of weights that it does not need
    dropped: Mapping[str, None]  # arguments of the network that are None without those
    encoders: Mapping[str, str]  # key that names an encoder -> what its features are called in a run's record


SPEECH = Task(
    name="speech",
    title="speech",
    target="emorec_lobes.models.cross_representation.CrossRepresentation",
    keys=(
        *_ENCODER, "encoder_padding", "normalise", "enrolment", "enrolment_utterances", "enrolment_options",
        "crop_frames", "keep_single_frame_tail", "segment_weights",
    ),
    training_only=("phone_encoder.", "decoder.", "postnet."),
    dropped=dict.fromkeys(("phone_encoder", "decoder", "postnet")),
    encoders={"encoder": "layers"},
)  # fmt: skip
AD = Task(
    name="ad",
    title="speech, with attribute disentanglement",
    target="emorec_lobes.models.emotion_network.EmotionNetwork",
    keys=(
        "features", "num_mels", "window_ms", "hop_ms", "vad", "vad_options", "subtract_mean", "normalise",
        "crop_frames", "window_shift", "eval_windows",
    ),
    training_only=("module_poolings.", "heads.relevant.", "heads.irrelevant."),
    dropped=dict.fromkeys(("num_speakers",)),
    encoders={},
)  # fmt: skip
TEXT = Task(
    name="text",
    title="text",
    target="emorec_lobes.models.text_cnn.TextCNN",
    keys=(*_ENCODER, *_TEXT, "context_turns"),
    training_only=(),
    dropped={},
    encoders={"encoder": "tokens"},
)
SPEECH_TEXT = Task(
    name="speech_text",
    title="speech and text",
    target="emorec_lobes.models.fusion.SpeechTextClassifier",
    keys=(
        *_ENCODER, "encoder_padding", "normalise", "text_encoder", "text_num_layers", "text_encoder_dim", *_TEXT,
    ),
    training_only=(),
    dropped={},
    encoders={"encoder": "layers", "text_encoder": "tokens"},
)  # fmt: skip
TASKS = (SPEECH, AD, TEXT, SPEECH_TEXT)


def task_named(name: str) -> Task:
    """The kind of model of a name, e.g. of `LoadedModel.task`.

    Example
    -------
    >>> task_named("ad").encoders
    {}
    """
    return next(task for task in TASKS if task.name == name)


def task_of(hparams_file: Path) -> Task:
    """The kind of model that a resolved hyperparameter file describes; builds nothing.

    Raises
    ------
    ConfigError
        If the file is missing, broken, or of something else.
    """
    target = target_of(hparams_file, "model")
    for task in TASKS:
        if task.target == target:
            return task
    held = target.rpartition(".")[2] or "no network"
    raise ConfigError(
        f"{hparams_file} must describe a model of train_ser.py, train_ad.py, train_ter.py or train_fusion.py, but "
        f"describes {held} instead. Name a fold of such a run, or an export of one."
    )
