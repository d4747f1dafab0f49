"""Decoder and post-net: codes, speaker and phones -> mel spectrogram. Used in training only."""

import torch
from torch import Tensor, nn

from emorec_lobes.models.conv_norm import ConvStack
from emorec_lobes.models.half_precision import recur


class Decoder(nn.Module):
    """Codes, speaker and encoded phones -> a first estimate of the mel spectrogram.

    Source: Makiuchi 2021, Figure 1, and AutoVC: each code repeated f times; one LSTM layer of 512, three ConvNorm of
    512, two LSTM layers of 1024, all forward in time only; a linear projection to 80 mel bins, Xavier with gain 1.

    Deviates: `masked_norm`; the authors count padded frames in the batch statistics (masked_norm: False).

    Arguments
    ---------
    bottleneck_dim : int
        Half the width of a code, as in `ContentEncoder`, d.
    speaker_dim : int
        Width of the speaker embedding, E.
    phone_dim : int
        Width of the phone encoder's output: twice its `hidden_dim`.
    conv_channels : int
        Width of the first LSTM and of each convolution, C.
    num_convs : int
    kernel_size : int
        Frames each convolution sees at once; odd.
    lstm_dim : int
        Width of the second LSTM.
    num_lstm_layers : int
        Layers of the second LSTM.
    num_mels : int
        Mel bins, M.
    frames_per_code : int
        Frames that share one code, f.
    masked_norm : bool
        Whether padded frames are left out of the batch statistics.

    Example
    -------
    >>> decoder = Decoder(
    ...     bottleneck_dim=8, speaker_dim=256, phone_dim=256, conv_channels=64, num_convs=3, kernel_size=5,
    ...     lstm_dim=128, num_lstm_layers=2, num_mels=80, frames_per_code=48, masked_norm=True,
    ... )
    >>> decoder(torch.rand(2, 2, 16), speaker=torch.rand(2, 256), phones=torch.rand(2, 96, 256)).shape
    torch.Size([2, 96, 80])
    """

    def __init__(
        self,
        bottleneck_dim: int,
        speaker_dim: int,
        phone_dim: int,
        conv_channels: int,
        num_convs: int,
        kernel_size: int,
        lstm_dim: int,
        num_lstm_layers: int,
        num_mels: int,
        frames_per_code: int,
        masked_norm: bool,
    ) -> None:
        super().__init__()
        self.frames_per_code = frames_per_code
        self.lstm_in = nn.LSTM(2 * bottleneck_dim + speaker_dim + phone_dim, conv_channels, batch_first=True)
        self.convs = ConvStack([conv_channels] * (num_convs + 1), kernel_size, ["relu"] * num_convs, masked_norm)
        self.lstm_out = nn.LSTM(conv_channels, lstm_dim, num_lstm_layers, batch_first=True)
        self.projection = nn.Linear(lstm_dim, num_mels)
        nn.init.xavier_uniform_(self.projection.weight)

    def forward(self, codes: Tensor, speaker: Tensor, phones: Tensor, mask: Tensor | None = None) -> Tensor:
        """Decodes to frames.

        Arguments
        ---------
        codes : torch.Tensor, (B, N, Z)
        speaker : torch.Tensor, (B, E)
        phones : torch.Tensor, (B, T, phone_dim)
            Output of the phone encoder; T = N * frames_per_code.
        mask : torch.Tensor, (B, T), bool, optional
            True on valid frames.

        Returns
        -------
        torch.Tensor, (B, T, M)
        """
        codes = codes.repeat_interleave(self.frames_per_code, dim=1)  # (B, N, Z) -> (B, T, Z)
        speaker = speaker.unsqueeze(1).expand(-1, codes.shape[1], -1)  # (B, E) -> (B, T, E)
        x = recur(self.lstm_in, torch.cat((codes, speaker, phones), dim=-1))
        return self.projection(recur(self.lstm_out, self.convs(x, mask)))


class PostNet(nn.Module):
    """What to add to the first mel estimate, from its neighbourhood in time.

    Source: Makiuchi 2021, Figure 1, and AutoVC: five ConvNorm, 512 wide, tanh after all but the last.

    Deviates: `masked_norm`; the authors count padded frames in the batch statistics (masked_norm: False).
    `initial_gain`; theirs is 1, so training begins with a residual as loud as noise, and long ends it.

    Arguments
    ---------
    num_mels : int
        Mel bins, M.
    conv_channels : int
        Width of all convolutions but the last, C.
    num_convs : int
        At least 1.
    kernel_size : int
        Frames each convolution sees at once; odd.
    masked_norm : bool
        Whether padded frames are left out of the batch statistics.
    initial_gain : float
        Scale of the last batch normalisation before training; with 0 the residual begins at nothing.

    Example
    -------
    >>> postnet = PostNet(
    ...     num_mels=80, conv_channels=512, num_convs=5, kernel_size=5, masked_norm=True, initial_gain=1.0
    ... )
    >>> postnet(torch.rand(2, 96, 80)).shape
    torch.Size([2, 96, 80])
    """

    def __init__(
        self,
        num_mels: int,
        conv_channels: int,
        num_convs: int,
        kernel_size: int,
        masked_norm: bool,
        initial_gain: float,
    ) -> None:
        super().__init__()
        channels = [num_mels] + [conv_channels] * (num_convs - 1) + [num_mels]
        self.convs = ConvStack(channels, kernel_size, ["tanh"] * (num_convs - 1) + [None], masked_norm)
        nn.init.constant_(self.convs.blocks[-1].norm.weight, initial_gain)

    def forward(self, mel: Tensor, mask: Tensor | None = None) -> Tensor:
        """The residual of a mel estimate: (B, T, M) -> (B, T, M), under an optional (B, T) mask of valid frames."""
        return self.convs(mel, mask)
