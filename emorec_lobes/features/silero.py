"""The network of silero-vad: the weights that its wheel ships as safetensors, without its code."""

import hashlib
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional

from emorec_lobes.errors import UnavailableError

SHA256 = "c59271c284ae9c8335d795d60e0bfdb71aaaceec578d9bd9ffc1b8153c319ea1"
CHUNK_SAMPLES = 512

_WHEEL = "silero-vad"
_FILE = "silero_vad/data/silero_vad_16k.safetensors"
_INSTALL = f"`pip install --no-deps {_WHEEL}==6.2.3`"
_CONTEXT_SAMPLES = 64
_FFT_SAMPLES = 256
_NUM_BINS = _FFT_SAMPLES // 2 + 1


class SileroNetwork(nn.Module):
    """Probability of speech in every 32 ms; each chunk is heard with what came before it.

    Source: the wheel `silero-vad` 6.2.3, weights for 16 kHz.
    Deviates: nothing; all chunks of all waves go through the convolutions together.

    Example
    -------
    >>> SileroNetwork()(torch.zeros(2, 1_600)).shape
    torch.Size([2, 4])
    """

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 2 * _NUM_BINS, _FFT_SAMPLES, stride=_FFT_SAMPLES // 2, bias=False)
        self.conv1 = nn.Conv1d(_NUM_BINS, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm = nn.LSTM(128, 128, batch_first=True)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(self, waves: Tensor) -> Tensor:
        """Probabilities of speech: (B, S) -> (B, N), N = ceil(S / 512)."""
        num_chunks = -(-waves.shape[1] // CHUNK_SAMPLES)
        padded = functional.pad(waves, (_CONTEXT_SAMPLES, num_chunks * CHUNK_SAMPLES - waves.shape[1]))
        chunks = padded.unfold(1, _CONTEXT_SAMPLES + CHUNK_SAMPLES, CHUNK_SAMPLES)  # (B, S) -> (B, N, 576)
        chunks = functional.pad(chunks.flatten(0, 1).unsqueeze(1), (0, _CONTEXT_SAMPLES), mode="reflect")
        real, imaginary = self.stft_conv(chunks).chunk(2, dim=1)  # (BN, 1, 640) -> 2 x (BN, F, 4)
        hidden = (real.square() + imaginary.square()).sqrt()
        for convolution in (self.conv1, self.conv2, self.conv3, self.conv4):
            hidden = functional.relu(convolution(hidden))
        hidden, _ = self.lstm(hidden.view(len(waves), num_chunks, -1))  # (BN, C, 1) -> (B, N, C)
        logits = self.final_conv(functional.relu(hidden).mT)  # (B, N, C) -> (B, C, N) -> (B, 1, N)
        return logits.squeeze(1).sigmoid()


@lru_cache(maxsize=2)
def load_network(device: str = "cpu") -> SileroNetwork:
    """The network with its weights, once in a process.

    Raises
    ------
    UnavailableError
        If the wheel is not installed, or its weights are other ones.
    """
    content = _weights_file().read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise UnavailableError(
            f"{_weights_file()} must be the file of {_WHEEL} 6.2.3, but is another one. Install it with {_INSTALL}."
        )
    state = {_lstm_name(name): value for name, value in load(content).items()}
    network = SileroNetwork()
    network.load_state_dict(state, strict=True)
    return network.eval().requires_grad_(False).to(torch.device(device))


def _lstm_name(name: str) -> str:
    """The wheel steps a cell through time, we let a layer do that."""
    return f"{name.replace('lstm_cell', 'lstm')}_l0" if name.startswith("lstm_cell.") else name


def _weights_file() -> Path:
    """Where the wheel keeps its weights; found without importing it."""
    try:
        path = Path(str(metadata.distribution(_WHEEL).locate_file(_FILE)))
    except metadata.PackageNotFoundError:
        path = None
    if path is None or not path.is_file():
        raise UnavailableError(
            f"`vad` silero needs the weights in the wheel {_WHEEL}, which is not installed. Install it with {_INSTALL} "
            "or use `--vad energy`."
        )
    return path
