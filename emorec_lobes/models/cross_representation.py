"""Cross-representation encoder-decoder: encoder layers + speaker -> codes -> emotion, and mel in training.

        |--StatisticsPooling (optional)--> (B, S) -------------------|
        |                                                            v
layers (B, T, L, D) --mix--> (B, T, D) --ContentEncoder--> codes (B, N, Z) --classifier--> logits (B, K)
                               speaker (B, E) -^              |
                                                              v
          phones (B, T) --PhoneEncoder--> (B, T, P') --> Decoder --> mel_first --PostNet--> mel (B, T, M)
                                          speaker (B, E) -^
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from emorec_lobes.errors import ConfigError
from emorec_lobes.lengths import frames_to_mask
from emorec_lobes.models.classifier import EmotionClassifier
from emorec_lobes.models.conv_norm import ConvStack
from emorec_lobes.models.decoder import Decoder, PostNet
from emorec_lobes.models.half_precision import recur
from emorec_lobes.models.layer_mix import LayerMix
from emorec_lobes.models.phone_encoder import PhoneEncoder
from emorec_lobes.models.statistics_pooling import StatisticsPooling


def down_sample(states: Tensor, frames_per_code: int) -> Tensor:
    """One code for each chunk of frames: what each direction of a BLSTM knows when it leaves the chunk.

    Source: AutoVC (Qian et al., ICML 2019), and Makiuchi 2021, section 3.1: of the chunk that starts at frame i and is
    f long, the forward direction at frame i + f - 1 and the backward direction at frame i, forward first.

    Arguments
    ---------
    states : torch.Tensor, (B, T, 2 * d)
        BLSTM output, the forward direction first.
    frames_per_code : int
        Frames of a chunk, f; T must be a multiple of it.

    Returns
    -------
    torch.Tensor, (B, T / f, 2 * d)

    Raises
    ------
    ConfigError
        If T is not a multiple of f.

    Example
    -------
    >>> states = torch.tensor([[[0, 10], [1, 11], [2, 12], [3, 13]]])
    >>> down_sample(states, frames_per_code=2)
    tensor([[[ 1, 10],
             [ 3, 12]]])
    """
    if states.shape[1] % frames_per_code:
        raise ConfigError(
            f"`frames_per_code` must divide the {states.shape[1]} frames of a segment, but is {frames_per_code} "
            "instead. Change it or the segment length, and pad the input to whole segments."
        )
    chunks = states.unflatten(1, (-1, frames_per_code))  # (B, T, 2d) -> (B, N, f, 2d)
    forward, backward = chunks.chunk(2, dim=-1)
    return torch.cat((forward[:, :, -1], backward[:, :, 0]), dim=-1)


class ContentEncoder(nn.Module):
    """Speech features and speaker -> a few narrow codes: the bottleneck everything downstream must pass.

    Source: Makiuchi 2021, section 3.1 and Figure 1: three ConvNorm of 2048 with kernels of 5, a two-layer BLSTM,
    and AutoVC's down-sampling. Small: d = 8, f = 48. Large: d = 128, f = 2. Their mel ablation has 512 channels.

    Deviates: `masked_norm`; the authors count padded frames in the batch statistics (masked_norm: False).

    Arguments
    ---------
    feature_dim : int
        Width of the features, D: 1024 for wav2vec 2.0 large, 80 for mel.
    speaker_dim : int
        Width of the speaker embedding, E.
    conv_channels : int
        Width of each convolution, C.
    num_convs : int
    kernel_size : int
        Frames each convolution sees at once; odd.
    bottleneck_dim : int
        LSTM units a direction, d; a code is twice as wide, Z = 2 * d.
    num_lstm_layers : int
    frames_per_code : int
        Frames that share one code, f.
    masked_norm : bool
        Whether padded frames are left out of the batch statistics.

    Example
    -------
    >>> encoder = ContentEncoder(
    ...     feature_dim=1024, speaker_dim=256, conv_channels=64, num_convs=3, kernel_size=5,
    ...     bottleneck_dim=8, num_lstm_layers=2, frames_per_code=48, masked_norm=True,
    ... )
    >>> encoder(torch.rand(2, 96, 1024), speaker=torch.rand(2, 256)).shape
    torch.Size([2, 2, 16])
    """

    def __init__(
        self,
        feature_dim: int,
        speaker_dim: int,
        conv_channels: int,
        num_convs: int,
        kernel_size: int,
        bottleneck_dim: int,
        num_lstm_layers: int,
        frames_per_code: int,
        masked_norm: bool,
    ) -> None:
        super().__init__()
        self.frames_per_code = frames_per_code
        channels = [feature_dim + speaker_dim] + [conv_channels] * num_convs
        self.convs = ConvStack(channels, kernel_size, ["relu"] * num_convs, masked_norm)
        self.lstm = nn.LSTM(conv_channels, bottleneck_dim, num_lstm_layers, batch_first=True, bidirectional=True)

    def forward(self, features: Tensor, speaker: Tensor, mask: Tensor | None = None) -> Tensor:
        """Encodes features.

        Arguments
        ---------
        features : torch.Tensor, (B, T, D)
            T must be a multiple of `frames_per_code`.
        speaker : torch.Tensor, (B, E)
        mask : torch.Tensor, (B, T), bool, optional
            True on valid frames; whatever stands on a padded one is taken for zeros.

        Returns
        -------
        torch.Tensor, (B, T / frames_per_code, 2 * bottleneck_dim)
        """
        if mask is not None:
            features = features.masked_fill(~mask.unsqueeze(-1), 0)
        speaker = speaker.unsqueeze(1).expand(-1, features.shape[1], -1)  # (B, E) -> (B, T, E)
        states = recur(self.lstm, self.convs(torch.cat((features, speaker), dim=-1), mask))
        return down_sample(states, self.frames_per_code)


@dataclass(frozen=True)
class CrossRepresentationOutput:
    """What one segment of each item gives; the mel estimates are None where the decoder did not run."""

    logits: Tensor  # (B, K), before softmax
    codes: Tensor  # (B, N, Z)
    mel_first: Tensor | None = None  # (B, T, M), before the post-net
    mel: Tensor | None = None  # (B, T, M)


class CrossRepresentation(nn.Module):
    """Encodes one speech representation, and learns by decoding another one and by naming the emotion.

    Source: Makiuchi 2021, section 3.1 and Figure 1. All parts are handed over ready-made.

    Deviates: `statistics`, of which the authors have none; beyond the parts, nothing. What the features hold beyond
    `num_valid` is taken for zeros.

    Arguments
    ---------
    layer_mix : LayerMix, optional
        None for features of one layer, such as mel.
    encoder : ContentEncoder
    classifier : EmotionClassifier
    phone_encoder : PhoneEncoder, optional
        It, the decoder and the post-net are used in training only: a model that only recognises has none.
    decoder : Decoder, optional
    postnet : PostNet, optional
    statistics : StatisticsPooling, optional
        Tells the classifier, beside the codes, how the layers are distributed over the segment.

    Raises
    ------
    ConfigError
        If the parts do not fit together, or do not fit the input.

    Example
    -------
    >>> model = CrossRepresentation(
    ...     layer_mix=LayerMix(num_layers=25, mode="ratio"),
    ...     encoder=ContentEncoder(
    ...         feature_dim=1024, speaker_dim=256, conv_channels=64, num_convs=3, kernel_size=5,
    ...         bottleneck_dim=8, num_lstm_layers=2, frames_per_code=48, masked_norm=True,
    ...     ),
    ...     classifier=EmotionClassifier(code_dim=32, hidden_dim=128, num_classes=4, dropout=0.5, activation=None),
    ... )
    >>> model(torch.rand(2, 96, 25, 1024).half(), speaker=torch.rand(2, 256)).logits.shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        layer_mix: LayerMix | None,
        encoder: ContentEncoder,
        classifier: EmotionClassifier,
        phone_encoder: PhoneEncoder | None = None,
        decoder: Decoder | None = None,
        postnet: PostNet | None = None,
        statistics: StatisticsPooling | None = None,
    ) -> None:
        super().__init__()
        training_parts = {"phone_encoder": phone_encoder, "decoder": decoder, "postnet": postnet}
        missing = [name for name, part in training_parts.items() if part is None]
        if 0 < len(missing) < len(training_parts):
            raise ConfigError(
                f"`{missing[0]}` must be given when another of {', '.join(training_parts)} is, but is None instead. "
                "Give all three, or none for a model that only recognises."
            )
        self.layer_mix = layer_mix
        self.encoder = encoder
        self.classifier = classifier
        self.phone_encoder = phone_encoder
        self.decoder = decoder
        self.postnet = postnet
        self.statistics = statistics

    def forward(
        self, layers: Tensor, speaker: Tensor, phones: Tensor | None = None, num_valid: Tensor | None = None
    ) -> CrossRepresentationOutput:
        """Recognises, and with phones reconstructs, a segment of each item.

        Arguments
        ---------
        layers : torch.Tensor, (B, T, L, D), any float dtype
        speaker : torch.Tensor, (B, E), any float dtype
        phones : torch.Tensor, (B, T), any integer dtype, optional
            Phone ids; without them the decoder does not run.
        num_valid : torch.Tensor, (B,), integer, optional
            Valid frames of each item; None for all.

        Returns
        -------
        CrossRepresentationOutput
        """
        dtype = next(self.encoder.parameters()).dtype
        speaker = speaker.to(dtype)
        mask = None if num_valid is None else frames_to_mask(num_valid, layers.shape[1])
        codes = self.encoder(self._mixed(layers).to(dtype), speaker, mask)
        logits = self.classifier(codes, None if self.statistics is None else self.statistics(layers, mask))
        if phones is None:
            return CrossRepresentationOutput(logits, codes)
        if self.decoder is None:
            raise ConfigError(
                "`phones` must be left out for a model that only recognises, but were given instead. "
                "Build it with phone_encoder, decoder and postnet."
            )
        mel_first = self.decoder(codes, speaker, self.phone_encoder(phones, mask), mask)
        return CrossRepresentationOutput(logits, codes, mel_first, mel_first + self.postnet(mel_first, mask))

    def _mixed(self, layers: Tensor) -> Tensor:
        if self.layer_mix is not None:
            return self.layer_mix(layers)
        if layers.shape[2] != 1:
            raise ConfigError(
                f"`layer_mix` must be given for features of {layers.shape[2]} layers, but is None instead. "
                "Give a LayerMix, or extract features of one layer."
            )
        return layers.squeeze(2)  # (B, T, 1, D) -> (B, T, D)
