from functools import partial

import pytest
import torch
from torch import nn

from emorec_lobes.errors import ConfigError
from emorec_lobes.models.attribute_disentanglement import AttributeDisentanglement
from emorec_lobes.models.dual_space import DualSpaceHeads, dual_space_loss
from emorec_lobes.models.front_end import DisentangledFrontEnd
from emorec_lobes.models.pooling import MapPooling
from emorec_lobes.models.resnet import ResNet
from emorec_lobes.models.vgg import VGG

from .conftest import batch_of

COUNTS = [1, 2, 15, 16, 17, 33]
AFTER_EVERY_STAGE = ["stage1", "stage2", "stage3", "stage4"]
AD = {"reduced_dim": 2, "shared": False, "activation": None, "bias": True, "epsilon": 1e-5}
PLACEMENTS = [
    ("resnet", ["transition4"]),
    ("resnet", ["stage4"]),
    ("resnet", AFTER_EVERY_STAGE),
    ("resnet", []),
    ("vgg", ["conv5"]),
    ("vgg", ["conv2", "conv5"]),
]


def network(front_end="resnet", positions=("transition4",), attention="tf", stop_gradient=False):
    make = partial(AttributeDisentanglement, attention=attention, stop_gradient=stop_gradient, **AD)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        front_end = (
            ResNet([3, 4, 5, 6, 6], 7, 2, masked_norm=True)
            if front_end == "resnet"
            else VGG([3, 4, 5, 6, 7], [2, 3], masked_norm=True)
        )
        model = DisentangledFrontEnd(front_end, positions, make)
        for name, each in (*model.named_parameters(), *model.named_buffers()):
            if ".norm." in name and each.is_floating_point():
                nn.init.uniform_(each, 0.5, 1.5)
    return model.eval()


@torch.no_grad()
@pytest.mark.parametrize(("front_end", "positions"), PLACEMENTS)
def test_an_utterance_in_a_padded_batch_is_split_as_alone_at_every_position(front_end, positions):
    model = network(front_end, positions)
    features, lens = batch_of(COUNTS, 40, filler=float("nan"))
    together = model(features, lens)
    assert list(together.splits) == positions
    for item, count in enumerate(COUNTS):
        alone = model(features[item : item + 1, :count])
        pairs = [(together.feature_map, alone.feature_map)]
        for position in positions:
            pairs += zip(together.splits[position][:-1], alone.splits[position][:-1], strict=True)
        for one, other in pairs:
            one = one[item : item + 1, :, :, : other.shape[3]]
            torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_the_relevant_half_is_what_goes_on():
    last, before = network(positions=["transition4"]), network(positions=["stage4"])
    output = last(*batch_of(COUNTS, 40))
    assert torch.equal(output.feature_map, output.splits["transition4"].relevant)
    output = before(*batch_of(COUNTS, 40))
    split = output.splits["stage4"]
    expected, _ = before.front_end.blocks["transition4"](split.relevant, split.mask)
    assert torch.equal(output.feature_map, expected)


@torch.no_grad()
def test_without_positions_it_is_the_front_end_itself():
    model = network(positions=[])
    assert torch.equal(model(*batch_of(COUNTS, 40)).feature_map, model.front_end(*batch_of(COUNTS, 40)).feature_map)


@torch.no_grad()
def test_half_precision_is_computed_with_in_single_and_double_in_double():
    features, lens = batch_of(COUNTS, 40)
    expected = network()(features.half().float(), lens).feature_map
    assert torch.equal(network()(features.half(), lens).feature_map, expected)
    in_double = network().double()(features.double(), lens).feature_map
    assert in_double.dtype == torch.float64
    torch.testing.assert_close(in_double.float(), network()(features, lens).feature_map, atol=1e-3, rtol=1e-3)


def test_the_weights_of_a_front_end_trained_without_ad_load_strictly_into_one_with_it():
    plain, model = network(positions=[]), network(positions=["transition4"])
    model.front_end.load_state_dict(plain.front_end.state_dict(), strict=True)


def test_the_order_of_the_positions_is_that_of_the_blocks_however_they_are_written():
    model = network(positions=["transition4", "stage1"])
    assert list(model(*batch_of(COUNTS, 40)).splits) == ["stage1", "transition4"]
    assert (model.module_dims, model.output_dim) == ([3, 6], 6)


@pytest.mark.parametrize("attention", ["tf", "se", "none"])
@pytest.mark.parametrize("mode", ["average", "mean_std", "attentive"])
@pytest.mark.parametrize("positions", [["transition4"], AFTER_EVERY_STAGE])
def test_the_dual_space_loss_gives_every_parameter_of_every_part_a_gradient(attention, mode, positions):
    model = network(positions=positions, attention=attention).train()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        pooling = MapPooling(mode, model.output_dim, hidden_dim=3)
        poolings = nn.ModuleList(MapPooling(mode, width, hidden_dim=3) for width in model.module_dims)
        module_dims = [each.output_dim for each in poolings]
        heads = DualSpaceHeads(pooling.output_dim, module_dims, 4, num_speakers=3, shared_emotion_head=False)
    output = model(*batch_of(COUNTS, 40))
    pairs = list(zip(poolings, output.splits.values(), strict=True))
    scores = heads(
        pooling(output.feature_map, output.mask),
        [pool(split.relevant, split.mask) for pool, split in pairs],
        [pool(split.irrelevant, split.mask) for pool, split in pairs],
    )
    speaker = torch.tensor([0, 1, 2, -1, 0, 1])
    dual_space_loss(scores, torch.tensor([0, 1, 2, 3, 0, 1]), speaker, ad_weight=0.5).total.backward()
    named = [pair for part in (model, pooling, poolings, heads) for pair in part.named_parameters()]
    assert [name for name, each in named if each.grad is None or not each.grad.abs().sum() > 0] == []


@torch.no_grad()
@pytest.mark.parametrize(
    ("position", "mode", "seen"),
    [
        ("transition4", "average", False),
        ("stage4", "average", True),
        ("transition4", "mean_std", True),
        ("transition4", "attentive", True),
    ],
)
def test_average_pooling_sees_the_normalised_part_only_where_a_transition_stands_in_between(position, mode, seen):
    """IN(F) is taken from another utterance while a R, what attention hands back, stays."""
    model = network(positions=[position])
    with torch.random.fork_rng():
        torch.manual_seed(3)
        pooling = MapPooling(mode, model.output_dim, hidden_dim=3)
        features = torch.randn(2, 2, 96, 20)
    splits = [model(each, torch.tensor([1.0, 0.75])).splits[position] for each in features]
    handed_back = splits[0].relevant - splits[0].normalised
    pooled = []
    for split in splits:
        feature_map, mask = split.normalised + handed_back, split.mask
        if position == "stage4":
            feature_map, mask = model.front_end.blocks["transition4"](feature_map, mask)
        pooled.append(pooling(feature_map, mask))
    difference = (pooled[0] - pooled[1]).abs().amax(dim=1) / pooled[0].abs().amax(dim=1)
    assert (difference > 1e-3).all() if seen else (difference < 1e-5).all()


def test_with_the_gradient_stopped_the_irrelevant_half_trains_no_layer_before_the_module():
    model = network(stop_gradient=True).train()
    model(*batch_of(COUNTS, 40)).splits["transition4"].irrelevant.square().sum().backward()
    assert all(parameter.grad is None for parameter in model.front_end.parameters())
    attention = model.disentanglers["transition4"].attention
    assert all(parameter.grad.abs().sum() > 0 for parameter in attention.parameters())


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        (["stage5"], "`ad_positions` must be one of conv1, .*transition4, but is 'stage5' instead. Did you mean"),
        (["stage4", "stage4"], "`ad_positions` must differ.* are stage4, stage4 instead. Name each once."),
    ],
)
def test_positions_that_do_not_exist_or_come_twice_are_refused(positions, message):
    with pytest.raises(ConfigError, match=message):
        network(positions=positions)
