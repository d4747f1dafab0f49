"""Attribute disentanglement in recipes of SpeechBrain alone: a few lines of YAML, nothing else of this package."""

import re
from pathlib import Path

import pytest
import speechbrain as sb
import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.nnet.losses import AdditiveAngularMargin, LogSoftmaxWrapper
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

README = Path(__file__).parents[2] / "README.md"

# Where the paper has the module: behind the front end, here that of the x-vector, before the pooling.
XVECTOR = """
frames: !new:speechbrain.nnet.containers.Sequential
  conv: !new:speechbrain.nnet.CNN.Conv1d {in_channels: 40, out_channels: 32, kernel_size: 5}
  activation: !new:torch.nn.LeakyReLU
  norm: !new:speechbrain.nnet.normalization.BatchNorm1d {input_size: 32}
disentangle: !new:emorec_lobes.models.attribute_disentanglement.AttributeDisentanglement
  {num_channels: 32, attention: tf, reduced_dim: 8, shared: False, activation: null, bias: True, epsilon: 1.0e-5,
   stop_gradient: False}
pooling: !new:speechbrain.nnet.pooling.StatisticsPooling
emotion: !new:speechbrain.lobes.models.Xvector.Classifier
  {input_shape: [null, null, 64], lin_blocks: 1, lin_neurons: 32, out_neurons: 4}
speaker: !new:speechbrain.nnet.linear.Linear {input_size: 64, n_neurons: 8}
"""

LENS = torch.tensor([1.0, 0.5, 0.75, 1.0, 0.6, 1.0, 0.9, 0.8])
EMOTIONS = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])


def readme_yaml():
    (found,) = re.findall(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return found


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        yield


class Recipe(sb.Brain):
    """What is common to recipes: the losses of a stage are kept."""

    def on_fit_start(self):
        super().on_fit_start()
        self.losses = []

    def on_stage_end(self, stage, stage_loss, epoch=None):
        self.losses.append(stage_loss)


class ECAPARecipe(Recipe):
    """As SpeechBrain's speaker recipes have it."""

    def compute_forward(self, batch, stage):
        waves, lens, _ = batch
        return self.modules.model(waves, lens)

    def compute_objectives(self, scores, batch, stage):
        return LogSoftmaxWrapper(AdditiveAngularMargin(margin=0.2, scale=30))(scores, batch[2].unsqueeze(1))


class XvectorRecipe(Recipe):
    """F+ must tell the emotion, F- the speaker; the eight items are eight speakers."""

    def compute_forward(self, batch, stage):
        features, lens, _ = batch
        split = self.modules.disentangle(self.modules.frames(features), lengths=lens)
        emotion = self.modules.emotion(self.modules.pooling(split.relevant, lens))
        return emotion.squeeze(1), self.modules.speaker(self.modules.pooling(split.irrelevant, lens)).squeeze(1)

    def compute_objectives(self, predictions, batch, stage):
        emotion, speaker = predictions
        return cross_entropy(emotion, batch[2]) + 0.5 * cross_entropy(speaker, torch.arange(8))


def train(recipe, batch, num_epochs):
    recipe.fit(range(num_epochs), DataLoader([batch], batch_size=None), progressbar=False)
    return recipe.losses


def assert_trained(disentangle, before):
    assert [name for name, value in disentangle.state_dict().items() if torch.equal(value, before[name])] == []


def state_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_the_readmes_ten_lines_train_ecapa_with_disentanglement_in_front():
    text = readme_yaml()
    assert len(text.splitlines()) <= 10
    hparams = load_hyperpyyaml(text)
    disentangle = hparams["model"]["disentangle"]
    before = state_of(disentangle)
    recipe = ECAPARecipe(hparams["modules"], hparams["opt_class"])
    losses = train(recipe, (torch.randn(8, 8_000), LENS, EMOTIONS), num_epochs=8)
    assert losses[-1] < 0.7 * losses[0]
    assert_trained(disentangle, before)


@torch.no_grad()
def test_the_container_hands_on_lengths_and_the_relevant_half():
    model, waves = load_hyperpyyaml(readme_yaml())["model"].eval(), torch.randn(8, 8_000)
    split = model["disentangle"](model["fbank"](waves), lengths=LENS)
    by_hand = model["classifier"](model["ecapa"](split.relevant, LENS))
    assert torch.equal(model(waves, LENS), by_hand)
    assert not torch.allclose(model(waves), by_hand)


@torch.no_grad()
def test_what_stands_behind_an_utterance_changes_no_answer():
    model = load_hyperpyyaml(readme_yaml())["model"].eval()
    fbank, disentangle, ecapa, _ = model.values()
    features = fbank(torch.randn(8, 8_000))
    counts = (LENS * features.shape[1]).round().long()
    filled = features.clone()
    for item, count in enumerate(counts):
        filled[item, count:] = 1e3
    assert not torch.allclose(ecapa(filled, LENS), ecapa(features, LENS)), "by itself ECAPA-TDNN looks at padding"
    split = disentangle(filled, lengths=LENS)
    assert torch.equal(ecapa(split.relevant, LENS), ecapa(disentangle(features, lengths=LENS).relevant, LENS))
    for item, count in enumerate(counts):
        alone = disentangle(features[item : item + 1, :count])
        torch.testing.assert_close(split.relevant[item, :count], alone.relevant[0], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(split.irrelevant[item, :count], alone.irrelevant[0], rtol=1e-4, atol=1e-4)


def test_an_x_vector_recipe_trains_on_both_halves():
    modules = load_hyperpyyaml(XVECTOR)
    before = state_of(modules["disentangle"])
    recipe = XvectorRecipe(modules, lambda parameters: torch.optim.Adam(parameters, lr=0.01))
    losses = train(recipe, (torch.randn(8, 50, 40), LENS, EMOTIONS), num_epochs=15)
    assert losses[-1] < 0.5 * losses[0]
    assert_trained(modules["disentangle"], before)
