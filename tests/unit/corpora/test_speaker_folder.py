"""Folders of speakers: who speaks, what is held out, and what cannot be used."""

import numpy as np
import pytest
import soundfile

from emorec_lobes.corpora.speaker_folder import all_pairs, read_recordings, split_in_time
from emorec_lobes.errors import ConfigError, DataError

WINDOW_S = 0.04


def write(path, duration_s=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(round(16_000 * duration_s)), 16_000)


@pytest.fixture()
def tree(tmp_path):
    """Two speakers at different depths, one with a single utterance, and a text that is no audio."""
    for name in ("84/121/84-121-0.flac", "84/121/84-121-1.flac", "84/7/84-7-0.wav", "9/9-0.wav"):
        write(tmp_path / name, duration_s=4.0)
    (tmp_path / "84/notes.txt").write_text("hello")
    return tmp_path


def test_the_first_subfolder_is_the_speaker_at_any_depth(tree):
    found = read_recordings(tree, "folder", WINDOW_S)
    assert [(item.id, item.speaker) for item in found] == [
        ("84/121/84-121-0.flac", "84"),
        ("84/121/84-121-1.flac", "84"),
        ("84/7/84-7-0.wav", "84"),
        ("9/9-0.wav", "9"),
    ]
    assert [item.duration for item in found] == [4.0] * 4


def test_a_file_name_may_say_who_speaks(tmp_path):
    for name in ("103-1240-0.wav", "7-1-2.wav"):
        write(tmp_path / name)
    assert [item.speaker for item in read_recordings(tmp_path, "file_name", WINDOW_S)] == ["103", "7"]


def test_the_last_utterances_are_held_out_and_of_a_single_one_the_end(tree):
    split = split_in_time(read_recordings(tree, "folder", WINDOW_S), dev_share=0.25)
    assert [(item.id, item.start, item.stop, item.duration) for item in split.dev] == [
        ("84/7/84-7-0.wav", None, None, 4.0),
        ("9/9-0.wav", 3.0, 4.0, 1.0),
    ]
    assert [(item.id, item.stop) for item in split.train] == [
        ("84/121/84-121-0.flac", None),
        ("84/121/84-121-1.flac", None),
        ("9/9-0.wav", 3.0),
    ]
    assert split.speakers == ["84", "9"] and split.test == []


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_every_speaker_is_on_both_sides_whatever_the_share(tmp_path, share):
    for speaker in "abc":
        for take in range(5):
            write(tmp_path / speaker / f"{take}.wav")
    split = split_in_time(read_recordings(tmp_path, "folder", WINDOW_S), share)
    assert {item.speaker for item in split.train} == {item.speaker for item in split.dev} == set("abc")
    assert not {item.id for item in split.train} & {item.id for item in split.dev}


def test_speakers_can_be_left_out(tree):
    split = split_in_time(read_recordings(tree, "folder", WINDOW_S), 0.25).without(["9", "nobody"])
    assert split.speakers == ["84"] and {item.speaker for item in split.dev} == {"84"}


def test_all_pairs_say_where_it_is_one_speaker(tree):
    trials = all_pairs(read_recordings(tree, "folder", WINDOW_S), "all pairs")
    assert len(trials.pairs) == 6 and trials.targets.sum() == 3
    assert ((trials.speakers[:, 0] == trials.speakers[:, 1]) == trials.targets).all()


@pytest.mark.parametrize(
    ("files", "options", "error", "parts"),
    [
        ({}, {}, DataError, ["one subfolder a speaker", "has none"]),
        ({"a.wav": 1}, {}, DataError, ["a.wav must be in its speaker's subfolder", "file_name"]),
        ({"x/a.wav": 1}, {"speaker_from": "file_name"}, DataError, ["a.wav must be named SPEAKER-", "folder"]),
        ({"x/a.wav": 0.03, "y/b.wav": 1}, {}, DataError, ["a.wav must hold at least one window of 0.04 s", "0.0300"]),
        ({"x/a.wav": 1}, {"speaker_from": "name"}, ConfigError, ["`speaker_from` must be one of folder, file_name"]),
        ({"x/a.wav": 1, "x/b.wav": 1}, {}, DataError, ["at least two speakers, but has 1 (x)"]),
        ({"x/a.wav": 1, "y/b.wav": 9}, {}, DataError, ["a.wav is the one utterance of 'x'", "3.00 s", "1.00 s"]),
        ({"x/a.wav": 9, "y/b.wav": 9}, {"dev_share": 1.0}, ConfigError, ["`dev_share` must be between 0 and 1"]),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(tmp_path, files, options, error, parts):
    for name, duration_s in files.items():
        write(tmp_path / name, duration_s)
    with pytest.raises(error) as caught:
        recordings = read_recordings(tmp_path, options.get("speaker_from", "folder"), WINDOW_S)
        split_in_time(recordings, options.get("dev_share", 0.1))
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(("files", "part"), [(["x/a.wav", "y/b.wav"], "of one"), (["x/a.wav", "x/b.wav"], "of two")])
def test_trials_of_one_kind_are_refused(tmp_path, files, part):
    for name in files:
        write(tmp_path / name)
    with pytest.raises(DataError, match=f"must have pairs {part}"):
        all_pairs(read_recordings(tmp_path, "folder", WINDOW_S), "all pairs")
