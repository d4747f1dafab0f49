import json
import pickle
from dataclasses import asdict, fields, replace

import pytest

from emorec_lobes.corpora.manifest import (
    LABELS,
    ManifestInfo,
    Utterance,
    info_path,
    locate,
    read_info,
    read_manifest,
    rooted,
    with_labels,
    without_labels,
    write_manifest,
)
from emorec_lobes.errors import DataError, ProtocolError

BARE = Utterance("x_1", "{data_root}/1.wav", 1.5, "sad", "traurig é")
FULL = Utterance(
    **{item.name: item.name for item in fields(Utterance)}
    | {"duration": 0.1, "valence": 1.0, "arousal": 2.5, "dominance": 5.0, "start": 0.0, "stop": 2.0}
    | {"ratings": {"E1": ["Sadness", "Anger"], "E2": []}, "emotions": ["angry", "sad"], "turn": 3}
)


def test_what_is_written_is_read_again(tmp_path):
    info = ManifestInfo("x", "all", {"labels": ["sad"], "map": {"T": "sad"}}, ["a warning"])
    write_manifest(tmp_path / "m.json", [BARE, FULL], info)
    assert read_manifest(tmp_path / "m.json") == {"x_1": BARE, "id": FULL}
    assert read_info(tmp_path / "m.json") == info


def test_the_file_is_what_the_json_library_writes_with_an_indent_of_one(tmp_path):
    odd = replace(BARE, id='q"\n\u2028', text="a\tb\\\n", valence=1e-7)
    write_manifest(tmp_path / "m.json", [BARE, FULL, odd], ManifestInfo("x"))
    entries = {}
    for item in (BARE, FULL, odd):
        entries[item.id] = {key: value for key, value in asdict(item).items() if value is not None and key != "id"}
    expected = json.dumps(entries, indent=1, ensure_ascii=False) + "\n"
    assert (tmp_path / "m.json").read_text(encoding="utf-8") == expected


def test_what_a_corpus_does_not_have_is_left_out(tmp_path):
    write_manifest(tmp_path / "m.json", [BARE], ManifestInfo("x"))
    (entry,) = json.loads((tmp_path / "m.json").read_text(encoding="utf-8")).values()
    assert set(entry) == {"wav", "duration", "emotion", "raw_emotion"}


def test_the_manifest_loads_into_speechbrain(tmp_path):
    dataset = pytest.importorskip("speechbrain.dataio.dataset")
    write_manifest(tmp_path / "m.json", [BARE, replace(BARE, id="x_2")], ManifestInfo("x"))
    loaded = dataset.DynamicItemDataset.from_json(tmp_path / "m.json", replacements={"data_root": "/corpus"})
    loaded.set_output_keys(["id", "wav", "emotion"])
    assert loaded[1] == {"id": "x_2", "wav": "/corpus/1.wav", "emotion": "sad"}


def test_an_utterance_without_audio_is_written_and_read_but_its_audio_is_not_located(tmp_path, refusal):
    silent = replace(BARE, wav="", duration=0.0, text="Oh!", dialog="x_d", turn=0, fold="train")
    write_manifest(tmp_path / "m.json", [silent], ManifestInfo("x"))
    assert read_manifest(tmp_path / "m.json") == {"x_1": silent}
    assert "text alone" in refusal(DataError, locate, silent.wav, tmp_path)


@pytest.mark.parametrize(("name", "value"), [("turn", "3"), ("turn", 1.5), ("emotions", "sad"), ("dialog", 1)])
def test_a_field_of_another_kind_is_refused(tmp_path, refusal, name, value):
    entry = {"wav": "", "duration": 0.0, "emotion": "sad", "raw_emotion": "T", name: value}
    (tmp_path / "m.json").write_text(json.dumps({"x_1": entry}))
    assert f"`{name}` of 'x_1'" in refusal(DataError, read_manifest, tmp_path / "m.json")


def test_two_utterances_with_one_id_are_refused_and_nothing_is_written(tmp_path, refusal):
    message = refusal(DataError, write_manifest, tmp_path / "m.json", [BARE, BARE], ManifestInfo("x"))
    assert "'x_1'" in message
    assert list(tmp_path.iterdir()) == []


def test_no_utterance_is_refused_and_nothing_is_written(tmp_path, refusal):
    refusal(DataError, write_manifest, tmp_path / "m.json", [], ManifestInfo("x"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "does not exist"),
        ("{", "not valid JSON"),
        ("[]", "must hold a JSON object"),
        ("{}", "holds no utterance"),
        ('{"x_1": 3}', "'x_1' lacks"),
        ('{"x_1": {"wav": "a", "duration": 1, "emotion": "sad"}}', "'x_1' lacks raw_emotion"),
        (
            '{"x_1": {"wav": "a", "duration": 1, "emotion": "sad", "raw_emotion": "T", "mood": 1}}',
            "unknown field 'mood'",
        ),
    ],
)
def test_a_manifest_that_cannot_be_used_is_named_with_its_cure(tmp_path, refusal, content, complaint):
    path = tmp_path / "m.json"
    if content is not None:
        path.write_text(content)
    message = refusal(DataError, read_manifest, path)
    assert str(path) in message
    assert complaint in message


def test_the_info_lies_beside_the_manifest(tmp_path):
    assert info_path(tmp_path / "a.b.json") == tmp_path / "a.b.info.json"


@pytest.mark.parametrize("inside", ["a.wav", "x/y/a.wav", "x/../a.wav", "./a.wav"])
def test_a_rooted_path_is_located_again(tmp_path, inside):
    path = rooted(tmp_path / inside, tmp_path)
    assert path.startswith("{data_root}/")
    assert ".." not in path
    assert locate(path, tmp_path).resolve() == (tmp_path / inside).resolve()


def test_a_path_outside_stays_absolute(tmp_path):
    assert rooted(tmp_path / ".." / "a.wav", tmp_path) == str(tmp_path.parent / "a.wav")
    assert rooted(tmp_path.with_name(tmp_path.name + "2") / "a.wav", tmp_path).startswith("/")


def test_an_id_twice_in_a_manifest_by_hand_is_refused(tmp_path, refusal):
    entry = '{"wav": "1.wav", "duration": 1.0, "emotion": "sad", "raw_emotion": "T"}'
    (tmp_path / "m.json").write_text(f'{{"x_1": {entry}, "x_2": {entry}, "x_1": {entry}}}', encoding="utf-8")
    message = refusal(DataError, read_manifest, tmp_path / "m.json")
    assert "'x_1' twice" in message and str(tmp_path / "m.json") in message


# Without labels


@pytest.fixture
def blind():
    return without_labels({"x_1": BARE, "id": FULL})


@pytest.mark.parametrize("name", LABELS)
def test_a_label_cannot_be_read_and_the_utterance_is_named(blind, refusal, name):
    for item in ("x_1", "id"):  # also where the label is absent: that one is, says something
        message = refusal(ProtocolError, getattr, blind[item], name)
        assert f"`{name}` of {item!r}" in message
        assert refusal(ProtocolError, getattr, blind[item], name, None) == message  # a default does not hide it


def test_all_but_the_labels_can_be_read(blind):
    for item in fields(Utterance):
        if item.name not in LABELS:
            assert getattr(blind["id"], item.name) == getattr(FULL, item.name)


def test_every_field_is_known_to_be_a_label_or_none():
    """A field added to `Utterance` must be put on one side."""
    known = {"id", "wav", "duration", "speaker", "gender", "session", "text", "kind", "fold", "phones", "start", "stop"}
    assert {item.name for item in fields(Utterance)} == known | {"dialog", "turn"} | set(LABELS)


def test_no_way_around_shows_a_label(blind):
    assert "traurig" not in repr(blind["x_1"]) + repr(blind)
    for way in (asdict, vars, lambda item: replace(item, speaker="x")):
        with pytest.raises(TypeError):
            way(blind["x_1"])


def test_an_unlabelled_utterance_travels_to_another_process(blind, refusal):
    again = pickle.loads(pickle.dumps(blind["x_1"]))
    assert again.wav == BARE.wav
    refusal(ProtocolError, getattr, again, "emotion")


def test_an_attribute_that_no_utterance_has_is_an_attribute_error(blind):
    assert not hasattr(blind["x_1"], "moods") and not hasattr(blind["x_1"], "__len__")


def test_a_manifest_without_labels_is_a_mapping_in_the_same_order(blind):
    assert list(blind) == ["x_1", "id"] and len(blind) == 2 and "x_1" in blind and "x_3" not in blind
    assert [item.speaker for item in blind.values()] == [None, "speaker"]
    with pytest.raises(KeyError):
        blind["x_3"]


def test_labels_come_back_for_targets_and_are_covered_once():
    labelled = {"x_1": BARE}
    assert with_labels(without_labels(labelled)) is with_labels(labelled) is labelled
    assert with_labels(without_labels(without_labels(labelled))) is labelled
