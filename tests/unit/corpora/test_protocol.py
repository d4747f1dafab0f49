from dataclasses import replace

import pytest

from emorec_lobes.corpora.leakage import check_leakage
from emorec_lobes.corpora.protocol import Fold, groups, make_folds, stamp, statistics_stamp
from emorec_lobes.errors import ProtocolError


def _speakers(manifest, ids):
    return {manifest[each].speaker for each in ids}


# Groups


def test_sessions_are_groups_in_natural_order(manifest):
    found = groups(manifest, "sessions")
    assert list(found) == ["1", "2", "3", "4", "5"]
    assert found["2"] == ["x_Ses2F_0", "x_Ses2M_0", "x_Ses2F_1", "x_Ses2M_1"]


def test_speakers_are_groups(manifest):
    found = groups(manifest, "speakers")
    assert len(found) == 10
    assert found["x_Ses4M"] == ["x_Ses4M_0", "x_Ses4M_1"]


def test_the_tables_own_folds_are_groups_in_natural_order(manifest):
    assert list(groups(manifest, "table")) == ["9", "10", "b"]


def test_listed_speakers_are_groups_in_the_listed_order(manifest):
    lists = [["Ses3F", "Ses3M", "Ses1F", "Ses1M"], ["x_Ses2F", "Ses2M"], ["Ses4F", "Ses4M", "Ses5F", "Ses5M"]]
    found = groups(manifest, "speaker_groups", speaker_groups=lists)
    assert list(found)[1] == "x_Ses2F+x_Ses2M"
    assert [_speakers(manifest, ids) for ids in found.values()] == [
        {f"x_{name.removeprefix('x_')}" for name in names} for names in lists
    ]


def test_formed_groups_hold_every_utterance_once(manifest):
    found = groups(manifest, "speaker_groups", num_groups=4)
    assert len(found) == 4
    assert sorted(each for ids in found.values() for each in ids) == sorted(manifest)


def test_ids_stay_in_the_manifests_order(manifest):
    rank = list(manifest).index
    for scheme, options in (("sessions", {}), ("speakers", {}), ("table", {}), ("speaker_groups", {"num_groups": 3})):
        for ids in groups(manifest, scheme, **options).values():
            assert sorted(ids, key=rank) == ids


@pytest.mark.parametrize(
    ("scheme", "field", "cure"),
    [
        ("sessions", "session", "Use the scheme speakers"),
        ("speakers", "speaker", "--speaker-column"),
        ("speaker_groups", "speaker", "--speaker-column"),
        ("table", "fold", "--fold-column"),
    ],
)
def test_a_manifest_without_what_the_scheme_needs_is_refused(manifest, refusal, scheme, field, cure):
    options = {"num_groups": 2} if scheme == "speaker_groups" else {}
    manifest["x_Ses2F_0"] = replace(manifest["x_Ses2F_0"], **{field: None})
    message = refusal(ProtocolError, groups, manifest, scheme, **options)
    assert "1 of 20" in message
    assert "'x_Ses2F_0'" in message
    assert cure in message


def test_an_unknown_scheme_lists_the_known_ones(manifest, refusal):
    assert "Did you mean 'sessions'?" in refusal(ProtocolError, groups, manifest, "session")


@pytest.mark.parametrize(
    ("scheme", "options"),
    [
        ("sessions", {"num_groups": 3}),
        ("table", {"speaker_groups": [["a"], ["b"]]}),
        ("speaker_groups", {}),
        ("speaker_groups", {"num_groups": 2, "speaker_groups": [["a"], ["b"]]}),
    ],
)
def test_options_that_do_not_go_with_the_scheme_are_refused(manifest, refusal, scheme, options):
    message = refusal(ProtocolError, groups, manifest, scheme, **options)
    assert scheme in message
    assert "num_groups" in message


# Folds


SCHEMES = [("sessions", {}), ("speakers", {}), ("table", {}), ("speaker_groups", {"num_groups": 4})]


@pytest.mark.parametrize("protocol", ["strict", "paper"])
@pytest.mark.parametrize(("scheme", "options"), SCHEMES)
def test_every_utterance_is_tested_once_and_used_once_in_a_fold(manifest, scheme, options, protocol):
    folds = make_folds(manifest, scheme, protocol, **options)
    assert sorted(each for fold in folds for each in fold.test) == sorted(manifest)
    for fold in folds:
        assert sorted(fold.train + fold.valid + fold.test) == sorted(manifest)
        check_leakage(fold, manifest, {each: each for each in manifest})


@pytest.mark.parametrize(("scheme", "options"), SCHEMES)
def test_strict_validates_on_the_next_group(manifest, scheme, options):
    parts = [tuple(ids) for ids in groups(manifest, scheme, **options).values()]
    folds = make_folds(manifest, scheme, "strict", **options)
    assert [fold.test for fold in folds] == parts
    assert [fold.valid for fold in folds] == parts[1:] + parts[:1]
    assert [fold.name for fold in folds] == [str(number) for number in range(1, len(parts) + 1)]


def test_paper_has_no_validation(manifest):
    for fold in make_folds(manifest, "sessions", "paper"):
        assert fold.valid == ()
        assert len(fold.train) == 16


def test_strict_is_the_default(manifest):
    assert make_folds(manifest, "sessions") == make_folds(manifest, "sessions", "strict")


@pytest.mark.parametrize(("protocol", "enough"), [("strict", 3), ("paper", 2)])
def test_too_few_groups_for_the_protocol_are_refused(manifest, refusal, protocol, enough):
    few = {each: item for each, item in manifest.items() if int(item.session) < enough}
    assert f"at least {enough} groups" in refusal(ProtocolError, make_folds, few, "sessions", protocol)
    just_enough = {each: item for each, item in manifest.items() if int(item.session) <= enough}
    assert len(make_folds(just_enough, "sessions", protocol)) == enough


def test_an_unknown_protocol_lists_the_known_ones(manifest, refusal):
    assert "strict, paper" in refusal(ProtocolError, make_folds, manifest, "sessions", "strictly")


# The corpus's own split


@pytest.fixture
def official(manifest):
    """Sessions 1 to 3 train, 4 validates and 5 is tested, as the corpus says; all have their speakers in common."""
    splits = dict(zip("12345", ("train", "train", "train", "valid", "test"), strict=True))
    return {
        each: replace(item, fold=splits[item.session], speaker="x_Ross", wav="", text=f"Words  of {each}")
        for each, item in manifest.items()
    }


def test_the_official_split_is_one_fold_with_the_corpus_own_sides(official):
    (fold,) = make_folds(official, "official")
    assert (fold.name, fold.official) == ("1", True)
    for side, name in ((fold.train, "train"), (fold.valid, "valid"), (fold.test, "test")):
        assert side == tuple(each for each, item in official.items() if item.fold == name)


def test_under_paper_the_official_validation_trains_too(official):
    (fold,) = make_folds(official, "official", "paper")
    assert fold.valid == ()
    assert sorted(fold.train) == sorted(each for each, item in official.items() if item.fold != "test")


def test_speakers_on_all_sides_of_the_official_split_are_stamped_and_not_refused(official):
    folds = make_folds(official, "official")
    check_leakage(folds[0], official, {})
    assert stamp(folds, official, "official", "strict")["speaker_independent"] is False


def test_the_official_split_of_unknown_speakers_is_stamped_unknown(official):
    nobody = {each: replace(item, speaker=None) for each, item in official.items()}
    folds = make_folds(nobody, "official")
    assert stamp(folds, nobody, "official", "strict")["speaker_independent"] is None


def test_the_same_words_on_two_sides_are_counted_and_not_refused(official):
    (fold,) = folds = make_folds(official, "official")
    assert stamp(folds, official, "official", "strict")["test_texts_also_in_training"] == 0
    for each, text in (
        (fold.train[0], "Oh  God!"),
        (fold.valid[1], "no."),
        (fold.train[1], None),
        (fold.test[3], None),
    ):
        official[each] = replace(official[each], text=text)
    for each, text in zip(fold.test, ("oh god!", "No.", "No", None), strict=True):
        official[each] = replace(official[each], text=text)
    check_leakage(fold, official, dict.fromkeys(official, "the hash of the same words"))
    assert stamp(folds, official, "official", "strict")["test_texts_also_in_training"] == 2


@pytest.mark.parametrize(("old", "new"), [("valid", "dev"), ("valid", "train"), ("test", "train")])
def test_folds_that_are_no_official_split_are_refused(official, refusal, old, new):
    for each, item in official.items():
        official[each] = replace(item, fold=new if item.fold == old else item.fold)
    message = refusal(ProtocolError, make_folds, official, "official")
    assert "train, valid, test" in message and "official" in message


# The stamp


def test_the_stamp_says_what_was_held_out_and_what_chose_the_checkpoint(manifest):
    folds = make_folds(manifest, "sessions")
    assert stamp(folds, manifest, "sessions", "strict") == {
        "protocol": "strict",
        "scheme": "sessions",
        "num_folds": 5,
        "speaker_independent": True,
        "test_texts_also_in_training": None,
        "checkpoint_chosen_on": "validation uar",
    }
    assert stamp(folds, manifest, "sessions", "paper")["checkpoint_chosen_on"] == "last update"


def test_unknown_speakers_of_a_table_are_no_leak_but_recorded(manifest):
    manifest["x_Ses3F_0"] = replace(manifest["x_Ses3F_0"], speaker=None)
    folds = make_folds(manifest, "table")
    for each in folds:
        check_leakage(each, manifest, {})
    assert stamp(folds, manifest, "table", "strict")["speaker_independent"] is None


def test_a_table_whose_folds_share_speakers_is_refused_and_stamped_so(manifest, refusal):
    for turn in "01":
        name = f"x_Ses1F_{turn}"
        manifest[name] = replace(manifest[name], fold=turn)
    folds = make_folds(manifest, "table")
    assert "'x_Ses1F'" in refusal(ProtocolError, check_leakage, folds[0], manifest, {})
    assert stamp(folds, manifest, "table", "strict")["speaker_independent"] is False


def test_a_speaker_in_validation_and_test_is_stamped_too(manifest):
    leaky = Fold("1", ("x_Ses1F_0",), ("x_Ses2F_0",), ("x_Ses2F_1",))
    assert stamp([leaky], manifest, "table", "strict")["speaker_independent"] is False


def test_a_single_shared_speaker_unknown_twice_is_not_taken_for_one(manifest):
    fold = Fold("1", ("x_Ses1F_0",), (), ("x_Ses2F_0",))
    for each in ("x_Ses1F_0", "x_Ses2F_0"):
        manifest[each] = replace(manifest[each], speaker=None)
    check_leakage(fold, manifest, {})


def test_a_speaker_spelt_in_two_ways_is_stamped_as_one(manifest):
    manifest["x_Ses2F_1"] = replace(manifest["x_Ses2F_1"], speaker="X_ses2f ")
    leaky = Fold("1", ("x_Ses1F_0",), ("x_Ses2F_0",), ("x_Ses2F_1",))
    assert stamp([leaky], manifest, "table", "strict")["speaker_independent"] is False


def test_the_stamp_says_that_the_labels_chose_what_speaker_statistics_are_taken_over():
    assert "one of the labels" in statistics_stamp(True)["speaker_statistics_over"]
    assert statistics_stamp(False)["speaker_statistics_over"] == "nothing"
