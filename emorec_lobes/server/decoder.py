"""The process in which uploads are decoded: what a broken file does to libsndfile, it does to this process alone.

Run as `python -m emorec_lobes.server.decoder MAX_SECONDS MAX_SAMPLES MAX_BYTES MAX_CPU_SECONDS`. On stdin: 8 bytes of
length, then a file of that many bytes; on stdout for each: 4 bytes of length, a JSON head, and the samples that it
announces, float32, channels side by side. It ends when stdin does.
"""

import io
import json
import os
import re
import resource
import struct
import sys
from pathlib import Path
from typing import Any

from emorec_lobes.server.limits import MAX_RATE_HZ, MIN_RATE_HZ
from emorec_lobes.server.refusals import Refused
from emorec_lobes.units import Seconds

UPLOAD = struct.Struct("<Q")
HEAD = struct.Struct("<I")

_BLOCK_FRAMES = 2**14
_READABLE = "Convert it to wav, flac, ogg or mp3."
# What libsndfile's log says of a WAV file with less in it than declared. A writer to a pipe declares the most.
_CUT_OFF = re.compile(r"^data : (\d+) \(should be (\d+)\)", re.MULTILINE)
_OPEN_LENGTHS = (range(2**31 - 4096, 2**31 + 1), range(2**32 - 4096, 2**32))
# A recording that lost no more than this to a cut is still that recording.
_MIN_THERE = 0.9


def main() -> int:
    """Decodes what comes on stdin until there is no more."""
    max_s, max_samples, max_bytes, max_cpu_s = (float(word) for word in sys.argv[1:5])
    # Before memory is limited, since libraries take their own.
    import numpy  # noqa: F401
    import soundfile  # noqa: F401

    _confine(int(max_bytes))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while len(prefix := source.read(UPLOAD.size)) == UPLOAD.size:
        data = source.read(*UPLOAD.unpack(prefix))
        _grant_cpu(max_cpu_s)
        head, samples = _answer(data, max_s, int(max_samples))
        words = json.dumps(head).encode()
        sink.write(HEAD.pack(len(words)) + words)
        sink.write(samples)
        sink.flush()
    return 0


def _confine(max_bytes: int) -> None:
    """So much memory beyond what is taken now; no file may be written, no core left."""
    statm = Path("/proc/self/statm")
    taken = int(statm.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 2**32
    resource.setrlimit(resource.RLIMIT_AS, (taken + max_bytes, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _grant_cpu(max_cpu_s: Seconds) -> None:
    """Lets this process run for so long from now; the system ends it after that."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime + max_cpu_s) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def _answer(data: bytes, max_s: Seconds, max_samples: int) -> tuple[dict[str, Any], bytes]:
    try:
        rate, channels, samples = decode(data, max_s, max_samples)
    except Refused as refusal:
        return {"status": refusal.status, "error": str(refusal)}, b""
    except MemoryError:
        return {"status": 413, "error": "The audio takes more memory to decode than it may. Send it in parts."}, b""
    return {"rate": rate, "channels": channels, "num_bytes": len(samples)}, samples


def decode(data: bytes, max_s: Seconds, max_samples: int) -> tuple[int, int, bytes]:
    """An audio file's rate, channels and samples.

    Arguments
    ---------
    data : bytes
        A file as libsndfile reads it: wav, flac, ogg, mp3.
    max_s : float
        Longest audio, in seconds.
    max_samples : int
        Most samples of all channels together.

    Returns
    -------
    tuple
        The rate in Hz, the number of channels, and the samples as the bytes of float32.

    Raises
    ------
    Refused
        413 where it is too long, 422 where it is no audio, cut off, empty or not finite.
    """
    import soundfile

    if not data:
        raise Refused(f"The audio must be a recording, but has 0 bytes. {_READABLE}", 422)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as stream:
            _check_header(stream, max_s, max_samples)
            samples = _samples(stream)
            _check_complete(stream, len(samples) // (4 * stream.channels))
            return stream.samplerate, stream.channels, samples
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        # The whole text names the address of the buffer.
        reason = " ".join(getattr(error, "error_string", str(error)).split()).rstrip(".")
        raise Refused(
            f"The audio must be a file that can be decoded, but is not ({reason}). {_READABLE}", 422
        ) from None


def _check_header(stream: Any, max_s: Seconds, max_samples: int) -> None:
    rate = stream.samplerate
    if not MIN_RATE_HZ <= rate <= MAX_RATE_HZ:
        raise Refused(
            f"The audio's rate must be {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz, but is {rate} Hz. Resample it first.", 422
        )
    num_samples = stream.frames * stream.channels
    if stream.frames > max_s * rate or num_samples > max_samples:
        raise Refused(
            f"The audio must be at most {max_s:g} s and {max_samples} samples long, but its header says "
            f"{stream.frames / rate:.1f} s and {num_samples} samples. Send it in parts.",
            413,
        )


def _samples(stream: Any) -> bytes:
    import numpy as np

    samples = bytearray()
    while len(block := stream.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
        if not np.isfinite(block).all():
            raise Refused("The audio must hold finite samples, but has NaN or infinite ones. Convert it again.", 422)
        samples += block.astype("<f4").tobytes()
    return bytes(samples)


def _check_complete(stream: Any, num_frames: int) -> None:
    if not num_frames:
        raise Refused("The audio must hold samples, but holds none. Send a complete file.", 422)
    share, declared_s = num_frames / max(stream.frames, 1), stream.frames / stream.samplerate
    found = _CUT_OFF.search(stream.extra_info)
    if found and not any(int(found[1]) in lengths for lengths in _OPEN_LENGTHS):
        share = int(found[2]) / int(found[1])
        declared_s = num_frames / stream.samplerate / max(share, 1e-9)
    if share < _MIN_THERE:
        raise Refused(
            f"The audio must be a whole file, but its header says {declared_s:.1f} s and "
            f"{num_frames / stream.samplerate:.1f} s are there. Send a complete file.",
            422,
        )


if __name__ == "__main__":
    sys.exit(main())
