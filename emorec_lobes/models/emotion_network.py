"""A front end with attribute disentanglement, pooling, and the heads of the dual-space loss."""

from collections.abc import Sequence

from torch import Tensor, nn

from emorec_lobes.models.dual_space import DualSpaceHeads, DualSpaceScores
from emorec_lobes.models.front_end import DisentangledFrontEnd
from emorec_lobes.models.pooling import MapPooling


class EmotionNetwork(nn.Module):
    """Frames in, emotion scores out; in training, also what the heads say of F+ and F- of each AD module.

    Source: Xi 2022, sections 3.1 and 4.2: no layer between pooling and heads.

    Deviates: nothing; what the paper leaves open is an argument.

    Arguments
    ---------
    front_end : DisentangledFrontEnd
        With any number of AD modules.
    pooling : str
        As `MapPooling`: `average`, `mean_std` or `attentive`. Each AD module has a pooling of its own, for F+ and F-.
    pooling_dim : int
        Width of what scores the positions, if `attentive`.
    num_classes, shared_emotion_head
        As `DualSpaceHeads`.
    num_speakers : int, optional
        As `DualSpaceHeads`; None for a network that only recognises, without what training alone looks at.

    Example
    -------
    >>> from functools import partial
    >>> import torch
    >>> from emorec_lobes.models.attribute_disentanglement import AttributeDisentanglement
    >>> from emorec_lobes.models.vgg import VGG
    >>> make = partial(AttributeDisentanglement, attention="tf", reduced_dim=8, shared=False, activation=None,
    ...                bias=True, epsilon=1e-5, stop_gradient=False)
    >>> vgg = VGG(channels=[16, 32, 48, 64, 80], pooled=[2, 3], masked_norm=True)
    >>> front_end = DisentangledFrontEnd(vgg, positions=["conv5"], make_disentangler=make)
    >>> network = EmotionNetwork(front_end, "mean_std", 64, num_classes=4, num_speakers=8, shared_emotion_head=False)
    >>> scores = network(torch.rand(2, 200, 41))
    >>> scores.emotion.shape, scores.irrelevant[0].shape
    (torch.Size([2, 4]), torch.Size([2, 8]))
    """

    def __init__(
        self,
        front_end: DisentangledFrontEnd,
        pooling: str,
        pooling_dim: int,
        num_classes: int,
        num_speakers: int | None,
        shared_emotion_head: bool,
    ) -> None:
        super().__init__()
        self.front_end = front_end
        self.pooling = MapPooling(pooling, front_end.output_dim, pooling_dim)
        trained = {} if num_speakers is None else dict(zip(front_end.disentanglers, front_end.module_dims, strict=True))
        self.module_poolings = nn.ModuleDict(
            {position: MapPooling(pooling, width, pooling_dim) for position, width in trained.items()}
        )
        widths = [each.output_dim for each in self.module_poolings.values()]
        self.heads = DualSpaceHeads(
            self.pooling.output_dim, widths, num_classes, num_speakers or 0, shared_emotion_head
        )

    def forward(self, features: Tensor, lens: Tensor | None = None) -> DualSpaceScores:
        """Scores a batch.

        Arguments
        ---------
        features : torch.Tensor, (B, T, M)
        lens : torch.Tensor, (B,), optional
            Relative lengths; None if all frames are valid.

        Returns
        -------
        DualSpaceScores
            Outside training, of the emotion alone.
        """
        output = self.front_end(features, lens)
        pooled = self.pooling(output.feature_map, output.mask)
        if not self.training:
            return self.heads(pooled)
        relevant, irrelevant = [], []
        for position, pool in self.module_poolings.items():
            split = output.splits[position]
            relevant.append(pool(split.relevant, split.mask))
            irrelevant.append(pool(split.irrelevant, split.mask))
        return self.heads(pooled, relevant, irrelevant)

    def parameter_groups(self, disentanglers_with: str) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """What is new, and what a front end may have learnt before: two lists that share nothing.

        Arguments
        ---------
        disentanglers_with : str
            Which of the two the AD modules belong to: `heads` or `extractor`.
        """
        extractor: Sequence[nn.Module] = [self.front_end.front_end]
        if disentanglers_with == "extractor":
            extractor = [self.front_end]
        learnt = [parameter for module in extractor for parameter in module.parameters()]
        known = {id(parameter) for parameter in learnt}
        return [parameter for parameter in self.parameters() if id(parameter) not in known], learnt
