"""Phone encoder: which phone stands on each frame -> what the decoder is told about it."""

from torch import Tensor, nn
from torch.nn import functional as F

from emorec_lobes.models.conv_norm import ConvStack
from emorec_lobes.models.half_precision import recur


class PhoneEncoder(nn.Module):
    """Encodes one phone a frame with convolutions and a bidirectional LSTM; used in training only.

    Source: Makiuchi 2021, section 3.1 and the authors' code (speech/models.py): one-hot phones straight into three
    ConvNorm, then a two-layer BLSTM, one output a frame. Their sizes are 128 phones, 512 channels, kernels of 5
    and 128 LSTM units a direction.

    Deviates: `masked_norm`; the authors count padded frames in the batch statistics (masked_norm: False).

    Arguments
    ---------
    num_phones : int
        Size of the phone table, P; ids are 0 to P - 1.
    conv_channels : int
        Width of each convolution, C.
    num_convs : int
    kernel_size : int
        Frames each convolution sees at once; odd.
    hidden_dim : int
        LSTM units a direction; the output is twice as wide.
    num_lstm_layers : int
    masked_norm : bool
        Whether padded frames are left out of the batch statistics.

    Example
    -------
    >>> import torch
    >>> encoder = PhoneEncoder(
    ...     num_phones=128, conv_channels=512, num_convs=3, kernel_size=5,
    ...     hidden_dim=128, num_lstm_layers=2, masked_norm=True,
    ... )
    >>> encoder(torch.zeros(2, 96, dtype=torch.uint8)).shape
    torch.Size([2, 96, 256])
    """

    def __init__(
        self,
        num_phones: int,
        conv_channels: int,
        num_convs: int,
        kernel_size: int,
        hidden_dim: int,
        num_lstm_layers: int,
        masked_norm: bool,
    ) -> None:
        super().__init__()
        self.num_phones = num_phones
        channels = [num_phones] + [conv_channels] * num_convs
        self.convs = ConvStack(channels, kernel_size, ["relu"] * num_convs, masked_norm)
        self.lstm = nn.LSTM(conv_channels, hidden_dim, num_lstm_layers, batch_first=True, bidirectional=True)

    def forward(self, phones: Tensor, mask: Tensor | None = None) -> Tensor:
        """Encodes phone ids.

        Arguments
        ---------
        phones : torch.Tensor, (B, T), any integer dtype
            Ids below `num_phones`.
        mask : torch.Tensor, (B, T), bool, optional
            True on valid frames. A padded frame has no phone at all, not silence: an all-zero vector.

        Returns
        -------
        torch.Tensor, (B, T, 2 * hidden_dim)
        """
        one_hot = F.one_hot(phones.long(), self.num_phones)  # (B, T) -> (B, T, P)
        if mask is not None:
            one_hot = one_hot * mask.unsqueeze(-1)
        return recur(self.lstm, self.convs(one_hot.to(self.lstm.weight_ih_l0.dtype), mask))
