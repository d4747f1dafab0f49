import pytest
import torch

from emorec_lobes.errors import ConfigError
from emorec_lobes.models.classifier import EmotionClassifier


def classifier_with(activation, dropout=0.0):
    torch.manual_seed(1)
    return EmotionClassifier(code_dim=12, hidden_dim=20, num_classes=4, dropout=dropout, activation=activation)


@pytest.mark.parametrize(("activation", "is_linear"), [(None, True), ("relu", False)])
def test_the_released_classifier_is_linear_in_the_codes_and_one_with_relu_is_not(activation, is_linear):
    classifier = classifier_with(activation)
    first, second = torch.randn(5, 3, 4), torch.randn(5, 3, 4)
    zero = classifier(torch.zeros(5, 3, 4))
    sum_of_parts = classifier(first) + classifier(second) - zero
    assert torch.allclose(classifier(first + second), sum_of_parts, atol=1e-5) == is_linear


def test_codes_are_laid_end_to_end_in_time_order():
    classifier = classifier_with(None)
    classifier.layers[0].weight.data[:, :4] = 0  # the first of three codes of width 4
    codes = torch.randn(2, 3, 4)
    others = codes.clone()
    others[:, 0] = 1.0
    assert torch.equal(classifier(codes), classifier(others))
    others[:, 1] = 1.0
    assert not torch.allclose(classifier(codes), classifier(others))


def test_dropout_acts_in_training_only():
    classifier = classifier_with(None, dropout=0.5)
    codes = torch.randn(2, 3, 4)
    assert not torch.equal(classifier(codes), classifier(codes))
    classifier.eval()
    assert torch.equal(classifier(codes), classifier(codes))


def test_codes_of_another_size_are_refused_with_the_right_size():
    with pytest.raises(ConfigError, match=r"must be 8 \(2 codes of 4\), but is 12 instead"):
        classifier_with(None)(torch.rand(1, 2, 4))


def test_an_unknown_activation_is_refused():
    with pytest.raises(ConfigError, match="activation"):
        classifier_with("gelu")


def test_statistics_stand_behind_the_codes():
    torch.manual_seed(1)
    classifier = EmotionClassifier(
        code_dim=12, hidden_dim=20, num_classes=4, dropout=0.0, activation=None, statistics_dim=5
    )
    codes, statistics = torch.randn(2, 3, 4), torch.randn(2, 5)
    laid_out = torch.cat((codes.reshape(2, 12), statistics), dim=1)
    torch.testing.assert_close(classifier(codes, statistics), classifier.layers(laid_out))


@pytest.mark.parametrize("statistics", [None, torch.rand(1, 4)])
def test_statistics_of_another_size_are_refused(statistics):
    classifier = EmotionClassifier(
        code_dim=12, hidden_dim=20, num_classes=4, dropout=0.0, activation=None, statistics_dim=5
    )
    with pytest.raises(ConfigError, match=r"`statistics_dim` must be [04], .* but is 5 instead"):
        classifier(torch.rand(1, 3, 4), statistics)
