"""What the server grants a request, and how many it takes."""

import math
from dataclasses import dataclass, field, fields

from emorec_lobes.errors import ConfigError
from emorec_lobes.units import Hertz, Seconds

# Rates between which audio is resampled at a bounded cost; beyond them are mistakes, and attacks.
MIN_RATE_HZ: Hertz = 4_000
MAX_RATE_HZ: Hertz = 384_000

# `max_audio_s` in samples: 48 kHz in stereo. More of them, however they came to be, would take more memory.
_SAMPLES_PER_S = 2 * 48_000
# A JSON body holds the audio in base64; names and text come on top.
_BASE64 = 4 / 3
_OTHER_BYTES = 64 * 1024


def _says(description: str) -> dict[str, str]:
    return {"description": description}


@dataclass(frozen=True)
class Limits:
    """The limits of one server; each must be positive.

    Raises
    ------
    ConfigError
        If one is not.

    Example
    -------
    >>> Limits(max_audio_s=2).max_samples
    192000
    """

    max_upload_mb: float = field(default=10, metadata=_says("largest recording in a request, in MB"))
    max_audio_s: Seconds = field(
        default=300, metadata=_says("longest recording, in seconds; at 48 kHz in stereo or less")
    )
    max_stream_s: Seconds = field(default=3600, metadata=_says("longest stream, in seconds of audio"))
    max_pending: int = field(default=64, metadata=_says("requests under way; one more is answered 503"))
    max_streams: int = field(default=8, metadata=_says("streams under way; one more is answered 503"))
    timeout_s: Seconds = field(
        default=60, metadata=_says("time for a request from its first byte, or between two chunks of a stream")
    )
    batch_size: int = field(default=16, metadata=_says("requests that are answered together; 1 for each by itself"))
    batch_wait_ms: float = field(default=5, metadata=_says("how long the first request of a batch waits for others"))
    memory_mb: float = field(default=512, metadata=_says("decoded recordings that wait for the model, in MB"))
    decoders: int = field(default=2, metadata=_says("processes that decode uploads"))

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not (value > 0 and math.isfinite(value)):
                option = f"--{item.name.replace('_', '-')}"
                raise ConfigError(
                    f"`{option}` must be more than 0, but is {value:g} instead. See `emorec serve --help`."
                )
        if 4 * self.max_samples > 1e6 * self.memory_mb:
            raise ConfigError(
                f"`--memory-mb` must be at least {4e-6 * self.max_samples:g}, which one recording of `--max-audio-s` "
                f"may take, but is {self.memory_mb:g} instead. Change one of them."
            )

    @property
    def max_upload_bytes(self) -> int:
        """Bytes of one recording as it is sent."""
        return round(self.max_upload_mb * 1e6)

    @property
    def max_body_bytes(self) -> int:
        """Bytes of a whole request's body."""
        return round(self.max_upload_bytes * _BASE64) + _OTHER_BYTES

    @property
    def max_samples(self) -> int:
        """Samples of one decoded recording, those of all channels together."""
        return round(self.max_audio_s * _SAMPLES_PER_S)
