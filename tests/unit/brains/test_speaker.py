"""What the speaker network is given, what its loss is, and that neighbours in a batch do not matter."""

from types import SimpleNamespace

import numpy as np
import pytest
import speechbrain as sb
import torch
from speechbrain.nnet.losses import AdditiveAngularMargin, LogSoftmaxWrapper
from torch import nn

from emorec_lobes.brains.speaker import SpeakerBrain
from emorec_lobes.features.fbank import FilterBank
from emorec_lobes.models.pooling import MapPooling
from emorec_lobes.models.resnet import ResNet
from emorec_lobes.models.speaker_network import SpeakerNetwork

LOSSES = {
    "aam": LogSoftmaxWrapper(AdditiveAngularMargin(margin=0.2, scale=30.0)),
    "softmax": LogSoftmaxWrapper(nn.Identity()),
}
TARGETS = [0, 2, 1]


class Batch(SimpleNamespace):
    """Whatever the dataset yields, without moving."""

    def to(self, device):
        return self


def batch_of(waves, **more):
    longest = max(map(len, waves))
    padded = torch.stack([nn.functional.pad(wave, (0, longest - len(wave)), value=0.5) for wave in waves])
    lengths = torch.tensor([len(wave) / longest for wave in waves])
    return Batch(id=[str(number) for number in range(len(waves))], wave=SimpleNamespace(data=padded, lengths=lengths),
                 **more)  # fmt: skip


@pytest.fixture()
def brain():
    return brain_of()


def brain_of(loss="aam", subtract_mean=True):
    torch.manual_seed(3)
    resnet = ResNet([4, 6, 8], first_kernel_size=7, blocks_per_stage=1, masked_norm=True)
    model = SpeakerNetwork(resnet, MapPooling("mean_std", 8, 4), num_speakers=3, loss=loss)
    hparams = {"filter_bank": FilterBank(), "subtract_mean": subtract_mean, "loss": loss, "losses": LOSSES}
    return SpeakerBrain({"model": model}, hparams=hparams, run_opts={"device": "cpu"})


@pytest.fixture()
def waves():
    generator = torch.Generator().manual_seed(1)
    return [0.1 * torch.randn(length, generator=generator) for length in (16_000, 9_000, 5_123)]


def test_an_embedding_does_not_depend_on_what_is_embedded_beside_it(brain, waves):
    together = brain.embeddings([batch_of(waves)])
    for number, wave in enumerate(waves):
        [alone] = brain.embeddings([batch_of([wave])]).values()
        np.testing.assert_allclose(together[str(number)], alone, rtol=1e-4, atol=1e-5)


def test_a_mean_filter_bank_is_the_plain_mean_of_the_utterance(brain, waves):
    found = brain.mean_filter_banks([batch_of(waves)])
    for number, wave in enumerate(waves):
        expected = FilterBank()(wave.unsqueeze(0))[0].mean(dim=0)
        np.testing.assert_allclose(found[str(number)], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("subtract_mean", [True, False])
def test_without_its_mean_a_wave_sounds_the_same_at_any_level(waves, subtract_mean):
    brain = brain_of(subtract_mean=subtract_mean)
    quiet, loud = (brain.embeddings([batch_of([level * waves[0]])])["0"] for level in (1.0, 3.0))
    assert np.allclose(quiet, loud, rtol=1e-3, atol=1e-4) is subtract_mean


def test_half_precision_does_not_reach_the_filter_banks(brain, waves):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features, _ = brain._features(batch_of(waves))
    assert torch.equal(features, brain._features(batch_of(waves))[0]) and features.dtype == torch.float32


def cross_entropy_by_hand(logits):
    return -np.mean([row[target] - np.log(np.exp(row).sum()) for row, target in zip(logits, TARGETS, strict=True)])


def test_plain_softmax_is_the_cross_entropy_of_a_linear_layer(waves):
    brain = brain_of("softmax")
    batch = batch_of(waves, target=torch.tensor(TARGETS))
    output = brain.compute_forward(batch, sb.Stage.VALID)
    head = brain.modules.model.head
    logits = (output.embedding @ head.weight.T + head.bias).detach().numpy()
    loss = brain.compute_objectives(output, batch, sb.Stage.VALID)
    assert loss.item() == pytest.approx(cross_entropy_by_hand(logits), rel=1e-5)


def test_the_margin_is_added_to_the_angle_of_the_speakers_own_direction(brain, waves):
    batch = batch_of(waves, target=torch.tensor(TARGETS))
    output = brain.compute_forward(batch, sb.Stage.VALID)
    embedding, weight = output.embedding.detach().numpy(), brain.modules.model.head.weight.detach().numpy()
    cosines = embedding @ weight.T / np.outer(np.linalg.norm(embedding, axis=1), np.linalg.norm(weight, axis=1))
    np.testing.assert_allclose(output.scores.detach(), cosines, atol=1e-5)
    for row, target in enumerate(TARGETS):
        cosines[row, target] = np.cos(np.arccos(cosines[row, target]) + 0.2)
    loss = brain.compute_objectives(output, batch, sb.Stage.VALID)
    assert loss.item() == pytest.approx(cross_entropy_by_hand(30 * cosines), rel=1e-3)


def test_accuracy_is_the_share_of_right_answers_of_the_last_evaluation(brain):
    scores = torch.tensor([[0.9, 0.1, 0.2], [0.1, 0.2, 0.8], [0.9, 0.1, 0.2]])
    for _ in range(2):
        brain.on_stage_start(sb.Stage.VALID)
        for rows, targets in ((scores[:2], TARGETS[:2]), (scores[2:], TARGETS[2:])):
            predictions = SimpleNamespace(scores=rows)
            brain.compute_objectives(predictions, Batch(target=torch.tensor(targets)), sb.Stage.VALID)
        assert brain.scores() == {"accuracy": pytest.approx(2 / 3)}
