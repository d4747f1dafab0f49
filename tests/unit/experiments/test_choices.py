"""What the stamp says of hyper-parameters and pre-training, and of what nobody has said."""

from pathlib import Path

import pytest

from emorec_lobes.errors import ConfigError
from emorec_lobes.experiments.choices import check_watching, hyperparameters_chosen_on, pretrained_on
from emorec_lobes.experiments.settings import read_settings

HPARAMS = Path(__file__).parents[3] / "hparams"


def settings(name="ser_small", **overrides):
    return read_settings(HPARAMS / f"{name}.yaml", {"data_folder": "x", **overrides})


def test_a_file_says_what_its_values_were_chosen_on():
    assert hyperparameters_chosen_on(settings()) == "the paper's, which does not say"


def test_of_options_beside_the_file_it_says_nothing_and_names_them():
    given = settings(lr=0.5, batch_size=3, seed=4, corpus="emodb", num_workers=0, protocol="strict")
    assert hyperparameters_chosen_on(given) == "the paper's, which does not say (batch_size, lr: unknown)"


def test_who_knows_what_options_were_chosen_on_can_say_so():
    given = settings(lr=0.5, hparams_chosen_on="validation speakers, 50 trials")
    assert hyperparameters_chosen_on(given) == "validation speakers, 50 trials"


def test_what_is_said_and_what_is_watched_make_no_other_run():
    assert settings(hparams_chosen_on="x", watch_test=True).fingerprint() == settings().fingerprint()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ser_small", "Libri-Light"),
        ("ser_mel", "nothing"),
        ("svm_resemblyzer", "LibriSpeech, VoxCeleb1, VoxCeleb2"),
        ("fusion_large", "Libri-Light; BookCorpus, English Wikipedia"),
    ],
)
def test_the_encoders_are_looked_up(name, expected):
    assert pretrained_on(settings(name)) == expected
    assert pretrained_on(settings("ser_small", encoder="a/folder")) == "unknown"


def test_watching_two_trainings_in_one_is_refused():
    with pytest.raises(ConfigError, match="`watch_test` must come with refit: False"):
        check_watching(settings(watch_test=True, refit=True))
