"""What the server says: the types of its OpenAPI description."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from emorec_lobes.server.refusals import Refused
from emorec_lobes.units import Seconds

if TYPE_CHECKING:
    from emorec_lobes.inference.recognizer import Prediction


def _says(description: str) -> dict[str, str]:
    return {"description": description}


@dataclass(frozen=True)
class Answer:
    """What was heard in one recording."""

    label: str | None = field(metadata=_says("the emotion; null where the model abstains"))
    probabilities: dict[str, float] = field(metadata=_says("by emotion, of those asked for; their sum is 1"))
    margin: float = field(metadata=_says("probability of the best emotion less that of the second"))
    confidence: float = field(metadata=_says("calibrated probability of the best emotion"))
    warnings: list[str] = field(metadata=_says("what makes the answer less sure, e.g. too short, clipped, silent"))
    duration_s: float | None = field(metadata=_says("length of the recording in seconds"))
    embedding: list[float] | None = field(metadata=_says("what the classifier saw, if asked for"))


@dataclass(frozen=True)
class Segment:
    """A part of a recording."""

    start_s: float = field(metadata=_says("in seconds from the start"))
    stop_s: float = field(metadata=_says("in seconds from the start"))
    label: str | None = field(metadata=_says("the emotion; null where there is none to hear"))
    probabilities: dict[str, float] = field(metadata=_says("by emotion; their sum is 1"))


@dataclass(frozen=True)
class Timeline:
    """What was heard when."""

    segments: list[Segment] = field(metadata=_says("in the order of their start"))
    duration_s: float = field(metadata=_says("length of the recording in seconds"))
    warnings: list[str] = field(metadata=_says("as of a whole recording"))


@dataclass(frozen=True)
class Health:
    """What this server is."""

    status: str = field(metadata=_says("ok"))
    version: str = field(metadata=_says("of emorec"))
    labels: list[str] = field(metadata=_says("the emotions that the model knows"))
    takes_audio: bool = field(metadata=_says("whether the model hears"))
    takes_text: bool = field(metadata=_says("whether the model reads the words said"))
    needs_token: bool = field(metadata=_says("whether requests must carry a bearer token"))
    max_upload_mb: float = field(metadata=_says("largest recording in a request, in MB"))
    max_audio_s: float = field(metadata=_says("longest recording, in seconds"))


@dataclass(frozen=True)
class Problem:
    """Why there is no answer."""

    error: str = field(metadata=_says("one line: what is wrong, and the cure"))


def as_answer(prediction: "Prediction") -> Answer:
    """A prediction as the server says it.

    Raises
    ------
    Refused
        422 if its numbers are not finite, which JSON cannot hold.
    """
    _check_finite([*prediction.probabilities.values(), prediction.confidence, prediction.margin])
    vector = prediction.embedding
    return Answer(
        prediction.label,
        {label: float(value) for label, value in prediction.probabilities.items()},
        float(prediction.margin),
        float(prediction.confidence),
        list(prediction.warnings),
        prediction.duration_s,
        None if vector is None else [float(value) for value in vector],
    )


def as_segment(segment: Any) -> Segment:
    """A segment of a timeline or a stream as the server says it; raises as `as_answer`."""
    _check_finite(segment.probabilities.values())
    probabilities = {label: float(value) for label, value in segment.probabilities.items()}
    return Segment(_rounded(segment.start_s), _rounded(segment.stop_s), segment.label, probabilities)


def _rounded(time_s: Seconds) -> Seconds:
    return round(float(time_s), 3)


def _check_finite(values: Any) -> None:
    if not all(math.isfinite(value) for value in values):
        raise Refused("The audio must give finite probabilities, but does not. Lower its level.", 422)
