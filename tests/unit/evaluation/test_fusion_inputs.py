"""Tables side by side: what must agree, and the one line that says what does not."""

import numpy as np
import pytest

from emorec_lobes.errors import ConfigError, DataError
from emorec_lobes.evaluation.fusion_inputs import align, read_sources, short_names
from emorec_lobes.evaluation.predictions import Predictions, write_predictions


def changed(table, rows=slice(None), **columns):
    names = ("ids", "folds", "splits", "speakers", "targets", "probabilities")
    held = {name: columns.get(name, getattr(table, name))[rows] for name in names}
    return Predictions(labels=columns.get("labels", table.labels), **held)


@pytest.fixture
def run(strict_run):
    return strict_run(seed=2, num_utterances=60)


@pytest.fixture
def aligned(strict_run):
    """Aligns a table with the untouched one."""

    def put(table, **options):
        return align({"speech": strict_run(seed=1, num_utterances=60), "text": table}, **options)

    return put


def test_rows_of_all_inputs_stand_side_by_side(run, aligned):
    both = aligned(changed(run, slice(None, None, -1)))
    for row in (0, 17, 119):
        key = (run.ids == both.ids[row]) & (run.folds == both.folds[row]) & (run.splits == both.splits[row])
        np.testing.assert_array_equal(both.probabilities[1, row], run.probabilities[key][0])
        assert both.targets[row] == run.targets[key][0] and both.speakers[row] == run.speakers[key][0]
    assert both.fallbacks == []


def test_a_speaker_that_one_input_does_not_know_is_taken_from_the_other(run, aligned):
    nobody = changed(run, speakers=np.full(len(run), ""))
    np.testing.assert_array_equal(aligned(nobody).speakers, aligned(run).speakers)


def _fold_gone(run):
    return changed(run, run.folds != "2")


def _valid_gone(run):
    return changed(run, run.splits == "test")


def _target(run):
    return changed(run, targets=np.where(run.ids == "emodb_0007", 2, run.targets))


def _speaker(run):
    return changed(run, speakers=np.where(run.ids == "emodb_0007", "emodb_x", run.speakers))


def _folds(run):
    return changed(run, folds=np.array([str(int(fold) % 3 + 1) for fold in run.folds]))


def _splits(run):
    here = (run.splits == "valid") & (run.folds == "1")
    moved = changed(run, ids=np.where(here, np.char.add(run.ids, "x"), run.ids))
    twin = changed(run, (run.splits == "test") & (run.folds == "1"))
    twin = changed(twin, slice(0, 1), splits=np.full(len(twin), "valid"))
    return Predictions.concatenate([moved, twin])


def _ids(run):
    return changed(run, ids=np.char.add(run.ids, "x"))


def _labels(run):
    return changed(run, labels=("angry", "neutral", "happy", "bored"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_fold_gone, "text lacks fold 2 (valid), fold 2 (test)"),
        (_valid_gone, "text lacks fold 1 (valid), fold 2 (valid), fold 3 (valid)"),
        (_target, "one target in all inputs, but 1 have several: emodb_0007 ("),
        (_speaker, "one speaker in all inputs, but 1 have several: emodb_0007 (emodb_s1 in speech, emodb_x in text)"),
        (_folds, "one test fold in all inputs, but 60 have several: emodb_0000 (1 in speech, 2 in text)"),
        (_splits, "one split in all inputs, but 1 have several: emodb_0000 in fold 1 ("),
        (_ids, "speech lacks emodb_0020x, emodb_0021x, emodb_0022x and 17 more; text lacks emodb_0020, "),
        (_labels, "speech lacks bored; text lacks sad"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_in_one_line_that_says_what_is_missing_where(run, aligned, change, said):
    with pytest.raises(DataError) as caught:
        aligned(change(run))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_missing_utterances_are_refused_where_that_is_asked_for(run, aligned):
    some = changed(run, run.ids != "emodb_0012")
    assert len(aligned(some).fallbacks) == 2
    with pytest.raises(DataError, match=r"text lacks emodb_0012\. "):
        aligned(some, fallback=False)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["r/ser/iemocap/seed_1/predictions.csv", "r/ter/iemocap/seed_1/predictions.csv"], ["ser", "ter"]),
        (["r/seed_1/predictions.csv", "r/seed_2/predictions.csv"], ["seed_1", "seed_2"]),
        (["speech.csv", "deep/text.csv", "r/predictions.csv"], ["speech", "text", "r"]),
        (["a/x/1.csv", "b/x/1.csv"], ["a", "b"]),
    ],
)
def test_an_input_is_called_by_what_sets_it_apart(tmp_path, paths, names):
    assert short_names([tmp_path / path for path in paths]) == names


def test_names_that_would_be_equal_are_whole_paths(tmp_path):
    paths = [tmp_path / path for path in ("a/x/1.csv", "b/x/1.csv", "b/y/1.csv")]
    assert short_names(paths) == [str(path) for path in paths]


def test_one_file_or_one_twice_is_refused(run, tmp_path):
    for name in ("a.csv", "b.csv"):
        write_predictions(tmp_path / name, run)
    with pytest.raises(ConfigError, match="at least two"):
        read_sources([tmp_path / "a.csv"])
    with pytest.raises(ConfigError, match="the same table"):
        read_sources([tmp_path / "a.csv", tmp_path / "b.csv"])
