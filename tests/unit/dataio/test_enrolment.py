"""Speaker vectors are means over recorded, seeded draws."""

from dataclasses import replace

import pytest
import torch

from emorec_lobes.corpora.manifest import without_labels
from emorec_lobes.dataio.enrolment import MODES, draw_enrolment, enrol
from emorec_lobes.errors import ConfigError


def mean_of(store, ids):
    return torch.stack([store.read(item)[0] for item in ids]).mean(dim=0)


def test_every_utterance_of_a_speaker_gets_the_plain_mean_of_the_recorded_ones(embeddings, utterances):
    enrolment = enrol(embeddings, utterances, "speaker", max_utterances=2, seed=[1])
    for item, vector in enrolment.vectors.items():
        chosen = enrolment.enrolled[item[0]]
        assert len(chosen) == 2 and all(name[0] == item[0] for name in chosen)
        assert torch.allclose(vector, mean_of(embeddings, chosen))


def test_with_fewer_utterances_than_asked_for_all_are_used(embeddings, utterances):
    assert enrol(embeddings, utterances, "speaker", 100, [1]).enrolled["a"] == ["a1", "a2", "a3"]


def test_the_draw_does_not_depend_on_the_order_of_the_manifest(utterances):
    backwards = dict(reversed(utterances.items()))
    assert draw_enrolment(utterances, 2, [3]) == draw_enrolment(backwards, 2, [3])


def test_draws_differ_between_seeds(utterances):
    draws = {tuple(draw_enrolment(utterances, 1, [seed])["a"]) for seed in range(20)}
    assert draws == {("a1",), ("a2",), ("a3",)}


def test_utterance_mode_uses_the_utterance_alone(embeddings, utterances):
    enrolment = enrol(embeddings, utterances, "utterance", 100, [1])
    assert torch.equal(enrolment.vectors["b2"], embeddings.read("b2")[0]) and enrolment.enrolled == {}


def test_none_tells_the_model_nothing(embeddings, utterances):
    assert not torch.stack(list(enrol(embeddings, utterances, "none", 100, [1]).vectors.values())).any()


def test_leave_one_out_keeps_an_utterance_out_of_its_own_mean(embeddings, utterances):
    vectors = enrol(embeddings, utterances, "speaker", 100, [1], leave_one_out=True).vectors
    assert torch.allclose(vectors["a2"], mean_of(embeddings, ["a1", "a3"]))


def test_renormalised_means_have_unit_length(embeddings, utterances):
    vectors = enrol(embeddings, utterances, "speaker", 100, [1], renormalise=True).vectors
    assert torch.allclose(vectors["a1"].norm(), torch.tensor(1.0))


def test_speaker_mode_refuses_an_utterance_without_speaker(embeddings, utterances):
    utterances["b1"] = replace(utterances["b1"], speaker=None)
    with pytest.raises(ConfigError, match=r"'b1' has no speaker.*--enrolment utterance"):
        enrol(embeddings, utterances, "speaker", 100, [1])


@pytest.mark.parametrize("mode", MODES)
def test_no_mode_looks_at_a_label(embeddings, utterances, mode):
    seen, unseen = (
        enrol(embeddings, each, mode, max_utterances=2, seed=[1], leave_one_out=True)
        for each in (utterances, without_labels(utterances))
    )
    assert seen.enrolled == unseen.enrolled
    assert all(torch.equal(seen.vectors[item], unseen.vectors[item]) for item in utterances)
