import json
from dataclasses import fields, replace

import pytest

from emorec_lobes.corpora.manifest import (
    ManifestInfo,
    Utterance,
    info_path,
    locate,
    read_info,
    read_manifest,
    rooted,
    write_manifest,
)
from emorec_lobes.errors import DataError

BARE = Utterance("x_1", "{data_root}/1.wav", 1.5, "sad", "traurig é")
FULL = Utterance(
    **{item.name: item.name for item in fields(Utterance)}
    | {"duration": 0.1, "valence": 1.0, "arousal": 2.5, "dominance": 5.0, "start": 0.0, "stop": 2.0}
    | {"ratings": {"E1": ["Sadness", "Anger"], "E2": []}}
)


def test_what_is_written_is_read_again(tmp_path):
    info = ManifestInfo("x", "all", {"labels": ["sad"], "map": {"T": "sad"}}, ["a warning"])
    write_manifest(tmp_path / "m.json", [BARE, FULL], info)
    assert read_manifest(tmp_path / "m.json") == {"x_1": BARE, "id": FULL}
    assert read_info(tmp_path / "m.json") == info


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
