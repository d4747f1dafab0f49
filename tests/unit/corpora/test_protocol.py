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


# One speaker of a session is tested, the other one validates


def _sides(fold):
    return [sorted({each[5:7] for each in ids}) for ids in (fold.test, fold.valid, fold.train)]


def test_each_speaker_is_tested_once_and_the_other_of_the_session_validates(manifest):
    folds = make_folds(manifest, "session_speakers")
    everyone = ["1F", "1M", "2F", "2M", "3F", "3M", "4F", "4M", "5F", "5M"]
    assert [_sides(fold)[:2] for fold in folds] == [
        [["1F"], ["1M"]], [["1M"], ["1F"]], [["2F"], ["2M"]], [["2M"], ["2F"]], [["3F"], ["3M"]],
        [["3M"], ["3F"]], [["4F"], ["4M"]], [["4M"], ["4F"]], [["5F"], ["5M"]], [["5M"], ["5F"]],
    ]  # fmt: skip
    for fold in folds:
        tested, validating, training = _sides(fold)
        assert training == [each for each in everyone if each not in (*tested, *validating)]
    assert [fold.name for fold in folds] == [str(number) for number in range(1, 11)]


def test_a_fold_of_session_speakers_has_all_their_utterances_in_the_manifests_order(manifest):
    fold = make_folds(manifest, "session_speakers")[3]
    assert (fold.test, fold.valid) == (("x_Ses2M_0", "x_Ses2M_1"), ("x_Ses2F_0", "x_Ses2F_1"))
    assert fold.train == tuple(each for each, item in manifest.items() if item.session != "2")


def test_the_one_way_variant_has_the_folds_that_test_the_first_speaker_of_a_session(manifest):
    both = make_folds(manifest, "session_speakers")
    folds = make_folds(manifest, "first_session_speakers")
    assert [fold.name for fold in folds] == ["1", "2", "3", "4", "5"]
    assert [replace(fold, name="") for fold in folds] == [replace(fold, name="") for fold in both[::2]]


@pytest.mark.parametrize("scheme", ["session_speakers", "first_session_speakers"])
def test_no_fold_of_session_speakers_leaks(manifest, scheme):
    for fold in make_folds(manifest, scheme):
        check_leakage(fold, manifest, {each: each for each in manifest})


def test_session_speakers_follow_sessions_in_natural_order(manifest):
    for each, item in manifest.items():
        manifest[each] = replace(item, session={"1": "10", "2": "9"}.get(item.session, item.session))
    tested = [_sides(fold)[0] for fold in make_folds(manifest, "first_session_speakers")]
    assert tested == [["3F"], ["4F"], ["5F"], ["2F"], ["1F"]]


@pytest.mark.parametrize("scheme", ["session_speakers", "first_session_speakers"])
@pytest.mark.parametrize(("protocol", "refit"), [("paper", False), ("paper", True), ("strict", True)])
def test_the_session_under_test_never_trains(manifest, refusal, scheme, protocol, refit):
    message = refusal(ProtocolError, make_folds, manifest, scheme, protocol, refit=refit)
    assert f"`scheme` {scheme} must come with protocol: strict and refit: False" in message
    assert ("protocol: paper" if protocol == "paper" else "refit: True") in message


def test_other_schemes_do_not_mind_a_refit(manifest):
    assert make_folds(manifest, "sessions", refit=True) == make_folds(manifest, "sessions")


@pytest.mark.parametrize(("new", "num"), [("x_Ses3F", 1), ("x_Ses3N", 3)])
def test_a_session_of_other_than_two_speakers_is_refused(manifest, refusal, new, num):
    for each in ("x_Ses3M_0",) if num == 3 else ("x_Ses3M_0", "x_Ses3M_1"):
        manifest[each] = replace(manifest[each], speaker=new)
    message = refusal(ProtocolError, make_folds, manifest, "session_speakers")
    assert f"two speakers in each session, but session 3 has {num} (x_Ses3F" in message


def test_session_speakers_need_sessions_speakers_and_a_session_to_train_on(manifest, refusal):
    alone = {each: item for each, item in manifest.items() if item.session == "1"}
    assert "at least 3 groups" in refusal(ProtocolError, make_folds, alone, "session_speakers")
    two = {each: item for each, item in manifest.items() if item.session in "12"}
    assert len(make_folds(two, "session_speakers")) == 4
    for field in ("session", "speaker"):
        unknown = {**manifest, "x_Ses2F_0": replace(manifest["x_Ses2F_0"], **{field: None})}
        message = refusal(ProtocolError, make_folds, unknown, "session_speakers")
        assert f"the {field} of every utterance" in message and "'x_Ses2F_0'" in message


def test_a_speaker_of_two_sessions_is_a_leak(manifest, refusal):
    for turn in "01":
        name = f"x_Ses2F_{turn}"
        manifest[name] = replace(manifest[name], speaker="x_Ses1F")
    folds = make_folds(manifest, "session_speakers")
    assert "'x_Ses1F'" in refusal(ProtocolError, check_leakage, folds[0], manifest, {})
    assert stamp(folds, manifest, "session_speakers", "strict")["speaker_independent"] is False


def test_the_stamp_says_that_the_session_under_test_validates(manifest):
    for scheme, num_folds in (("session_speakers", 10), ("first_session_speakers", 5)):
        said = stamp(make_folds(manifest, scheme), manifest, scheme, "strict")
        assert said["validated_on"] == "the other speaker of the tested session"
        assert (said["scheme"], said["num_folds"], said["speaker_independent"]) == (scheme, num_folds, True)
    assert "validated_on" not in stamp(make_folds(manifest, "speakers"), manifest, "speakers", "strict")


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
    assert (fold.name, fold.shares_speakers) == ("1", True)
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
