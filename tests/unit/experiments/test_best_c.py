"""The C that validation scores best."""

import pytest

from emorec_lobes.experiments.best_c import best_c


@pytest.mark.parametrize(
    ("score_of", "chosen"),
    [
        ({0.01: 0.5, 0.1: 0.8, 1.0: 0.7}, 0.1),
        ({0.01: 0.8, 0.1: 0.8, 1.0: 0.7}, 0.01),
        ({1.0: 0.8, 0.1: 0.8}, 0.1),  # in whatever order they stand
        ({0.1: (0.1 + 0.2) / 2, 0.01: (0.3 + 0.0) / 2}, 0.01),  # which differ in their last bit
        ({5.0: 0.25}, 5.0),
    ],
)
def test_the_best_score_chooses_c_and_of_equals_the_smaller(score_of, chosen):
    assert best_c(score_of) == chosen
