"""The published models, built from their hyperparameter files, have the published numbers of parameters."""

from pathlib import Path

import pytest

from emorec_lobes.experiments.settings import read_settings

HPARAMS = Path(__file__).parents[3] / "hparams"


@pytest.mark.parametrize(
    ("name", "num_parameters"),
    [
        ("ser_small", 84_427_101),
        ("ser_large", 88_979_549),
        ("ser_mel", 32_746_308),
        ("ter_bert", 623_556),
        # Front end, AD, and three heads on mean and deviation: 2 * 128 wide.
        ("ad_resnet18", 1_031_024 + (4_368 + 256) + 2 * (256 * 4 + 4) + (256 * 8 + 8)),
    ],
)
def test_trainable_parameters(name, num_parameters):
    settings = read_settings(HPARAMS / f"{name}.yaml", {"data_folder": "/corpus"})
    modules = settings.build(fold="1")["modules"]
    assert (
        sum(item.numel() for module in modules.values() for item in module.parameters() if item.requires_grad)
        == num_parameters
    )
