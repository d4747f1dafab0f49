"""The dual-space loss: F+ must tell the emotion, F- the speaker; and the linear heads that answer."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from emorec_lobes.errors import ConfigError
from emorec_lobes.labels import UNKNOWN_SPEAKER


class DualSpaceScores(NamedTuple):
    """What the heads say, before any softmax."""

    emotion: Tensor
    """(B, K): the answer of the network."""
    relevant: list[Tensor]
    """(B, K) from F+, one for each AD module."""
    irrelevant: list[Tensor]
    """(B, num_speakers) from F-, one for each AD module."""


class DualSpaceLosses(NamedTuple):
    """The losses of a batch, each of shape ()."""

    total: Tensor
    emotion: Tensor
    relevant: Tensor
    irrelevant: Tensor


class DualSpaceHeads(nn.Module):
    """The emotion head, and an emotion and a speaker head for each AD module.

    Source: Xi 2022, eq. 4. It writes one FC for emotions and speakers, who are not equally many: here they are two.
    It does not say what the main emotion loss looks at: here a head of its own, on what the network ends with, beside
    the auxiliary head on F+. `shared_emotion_head: True` makes the two one; False is the plain reading.

    Deviates: several AD modules have heads each; the paper has one module.

    Arguments
    ---------
    output_dim : int
        Width of the pooled output of the network.
    module_dims : sequence of int
        Width of the pooled F+ and F- of each AD module; empty for a network without.
    num_classes : int
        K.
    num_speakers : int
        Training speakers.
    shared_emotion_head : bool
        Whether the main emotion head answers for F+, too.

    Raises
    ------
    ConfigError
        If a shared head would have to take two widths, or `forward` is not given one F+ and one F- for each module.

    Example
    -------
    >>> import torch
    >>> heads = DualSpaceHeads(128, module_dims=[128], num_classes=4, num_speakers=8, shared_emotion_head=False)
    >>> pooled = torch.rand(2, 128)
    >>> [scores.shape for scores in heads(pooled, [pooled], [pooled]).irrelevant]
    [torch.Size([2, 8])]
    >>> heads(pooled).emotion.shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        output_dim: int,
        module_dims: Sequence[int],
        num_classes: int,
        num_speakers: int,
        shared_emotion_head: bool,
    ) -> None:
        super().__init__()
        if shared_emotion_head and any(width != output_dim for width in module_dims):
            raise ConfigError(
                f"`shared_emotion_head` must be False for AD modules of widths {list(module_dims)} in a network that "
                f"ends with {output_dim}, but is True instead. Share the head, or place AD elsewhere."
            )
        self.emotion = nn.Linear(output_dim, num_classes)
        own = [] if shared_emotion_head else module_dims
        self.relevant = nn.ModuleList(nn.Linear(width, num_classes) for width in own)
        self.irrelevant = nn.ModuleList(nn.Linear(width, num_speakers) for width in module_dims)

    def forward(
        self, pooled: Tensor, relevant: Sequence[Tensor] = (), irrelevant: Sequence[Tensor] = ()
    ) -> DualSpaceScores:
        """Scores emotions, and speakers where F- is given, as it is in training.

        Arguments
        ---------
        pooled : torch.Tensor, (B, output_dim)
        relevant, irrelevant : sequence of torch.Tensor, (B, module_dim)
            Pooled F+ and F- of each AD module; neither, for the answer alone.

        Returns
        -------
        DualSpaceScores
        """
        emotion = self.emotion(pooled)
        if not relevant and not irrelevant:
            return DualSpaceScores(emotion, [], [])
        if not len(relevant) == len(irrelevant) == len(self.irrelevant):
            raise ConfigError(
                f"`relevant` and `irrelevant` must have one entry for each of the {len(self.irrelevant)} AD modules, "
                f"but have {len(relevant)} and {len(irrelevant)} instead. Set module_dims to what the network has."
            )
        emotion_heads = self.relevant if len(self.relevant) else [self.emotion] * len(relevant)
        return DualSpaceScores(
            emotion,
            [head(each) for head, each in zip(emotion_heads, relevant, strict=True)],
            [head(each) for head, each in zip(self.irrelevant, irrelevant, strict=True)],
        )


def dual_space_loss(
    scores: DualSpaceScores,
    emotion: Tensor,
    speaker: Tensor,
    ad_weight: float,
    emotion_loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy,
) -> DualSpaceLosses:
    """The emotion loss, plus `ad_weight` times the losses on F+ and F-, summed over AD modules.

    An utterance whose speaker is unknown (-1) has no part in the loss on F-, which is the mean over the others; with
    no speaker known it is zero, and has a gradient of zero.

    Source: Xi 2022, eq. 4 and section 3.1.3: the weight, lambda, is 0.5. Nothing is adversarial.

    Deviates: unknown speakers.

    Arguments
    ---------
    scores : DualSpaceScores
        Of `DualSpaceHeads`.
    emotion : torch.Tensor, (B,), integer
        Or what else `emotion_loss` takes.
    speaker : torch.Tensor, (B,), integer
        Index of a training speaker, or -1.
    ad_weight : float
    emotion_loss : callable
        (B, K) scores and `emotion` -> loss.

    Returns
    -------
    DualSpaceLosses

    Raises
    ------
    ConfigError
        If the weight is negative.

    Example
    -------
    >>> import torch
    >>> even = torch.zeros(2, 4)
    >>> scores = DualSpaceScores(emotion=even, relevant=[even], irrelevant=[torch.zeros(2, 8)])
    >>> losses = dual_space_loss(scores, torch.tensor([0, 3]), torch.tensor([5, -1]), ad_weight=0.5)
    >>> [round(loss.item(), 3) for loss in losses]  # ln 4 + 0.5 (ln 4 + ln 8), ln 4, ln 4, ln 8
    [3.119, 1.386, 1.386, 2.079]
    """
    if not ad_weight >= 0:
        raise ConfigError(f"`ad_weight` must be 0 or more, but is {ad_weight} instead. The paper has 0.5.")
    main = emotion_loss(scores.emotion, emotion)
    zero = main.new_zeros(())
    relevant = sum((emotion_loss(each, emotion) for each in scores.relevant), start=zero)
    irrelevant = sum((_known_speakers_loss(each, speaker) for each in scores.irrelevant), start=zero)
    return DualSpaceLosses(main + ad_weight * (relevant + irrelevant), main, relevant, irrelevant)


def _known_speakers_loss(scores: Tensor, speaker: Tensor) -> Tensor:
    known = speaker != UNKNOWN_SPEAKER
    return cross_entropy(scores[known], speaker[known], reduction="sum") / known.sum().clamp(min=1)
