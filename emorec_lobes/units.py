"""Units as types, and the one time grid every speech feature shares.

All speech features stand on a 20 ms grid at 16 kHz, centred on multiples of 320 samples,
so that frame `t` of the encoder, of the mel spectrogram and of the phones is the same
moment.
"""

Seconds = float
Hertz = float
Decibels = float

SAMPLE_RATE_HZ = 16_000
HOP_SAMPLES = 320
FRAME_SHIFT_S: Seconds = HOP_SAMPLES / SAMPLE_RATE_HZ

# One full analysis window: less audio than this has no complete frame.
MIN_SAMPLES = 400


def num_frames(num_samples: int) -> int:
    """Number of 20 ms frames that stand for `num_samples` samples at 16 kHz.

    Example
    -------
    >>> num_frames(16_000)
    51
    """
    return num_samples // HOP_SAMPLES + 1
