"""VoxCeleb1's layout and its two lists, in miniature."""

import numpy as np
import pytest
import soundfile

from emorec_lobes.corpora.voxceleb import read_split_list, read_trials, wave_root
from emorec_lobes.errors import DataError

FILES = [f"id1000{speaker}/video{video}/0000{number}.wav" for speaker in (1, 2) for video in "AB" for number in (1, 2)]
SPLIT = [f"{kind} {name}" for kind, name in zip("11231123", FILES, strict=True)]
TRIALS = [f"1 {FILES[0]} {FILES[3]}", f"0 {FILES[0]} {FILES[5]}", f"0 {FILES[3]} {FILES[7]}"]


@pytest.fixture()
def corpus(tmp_path):
    for name in FILES:
        path = tmp_path / "wav" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros(16_000), 16_000)
    return tmp_path


def written(folder, lines):
    (folder / "list.txt").write_text("\n".join(lines) + "\n\n")
    return folder / "list.txt"


def assert_refused_in_one_line(read, corpus, lines, parts):
    with pytest.raises(DataError) as caught:
        read(written(corpus, lines), corpus, 0.04)
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


def test_the_split_list_says_who_is_trained_on(corpus):
    split = read_split_list(written(corpus, SPLIT), corpus, 0.04)
    assert [item.id for item in split.train] == [FILES[0], FILES[1], FILES[4], FILES[5]]
    assert [item.id for item in split.dev] == [FILES[2], FILES[6]]
    assert [item.id for item in split.test] == [FILES[3], FILES[7]]
    assert split.speakers == ["id10001", "id10002"] and split.dev[0].duration == 1.0


def test_the_folder_of_speakers_will_do_in_place_of_the_one_above(corpus):
    assert wave_root(corpus) == wave_root(corpus / "wav") == corpus / "wav"


def test_the_trial_list_says_which_pairs_are_one_speaker(corpus):
    trials = read_trials(written(corpus, TRIALS), corpus, 0.04)
    names = np.array([item.id for item in trials.recordings])[trials.pairs].tolist()
    assert names == [[FILES[0], FILES[3]], [FILES[0], FILES[5]], [FILES[3], FILES[7]]]
    assert trials.targets.tolist() == [True, False, False] and len(trials.recordings) == 4


@pytest.mark.parametrize(
    ("lines", "parts"),
    [
        ([], ["has none"]),
        ([*SPLIT, "4 id10001/videoA/00001.wav"], ["line 9", "1 train, 2 dev or 3 test", "4 id10001"]),
        ([*SPLIT[:2], "1 lonely.wav"], ["line 3", "lonely.wav"]),
        ([*SPLIT, f"1 {FILES[0]} {FILES[1]}"], ["line 9"]),
        ([*SPLIT, "1 id10003/v/1.wav", "2 id10003/v/2.wav"], ["names 2 of 10 files", "id10003/v/1.wav"]),
        (SPLIT[:3] + SPLIT[6:], ["'id10002'", "dev", "in train"]),
        ([*SPLIT, f"2 {FILES[0]}"], ["each file once", FILES[0]]),
        ([SPLIT[0], SPLIT[4]], ["dev utterances", "names none"]),
        (SPLIT[:3], ["at least two speakers, but has 1 (id10001)"]),
    ],
)
def test_a_split_list_that_cannot_be_used_is_named_in_one_line(corpus, lines, parts):
    assert_refused_in_one_line(read_split_list, corpus, lines, parts)


@pytest.mark.parametrize(
    ("lines", "parts"),
    [
        ([*TRIALS, f"2 {FILES[0]} {FILES[1]}"], ["line 4", "1 one speaker or 0 two"]),
        ([*TRIALS, f"1 {FILES[0]}"], ["line 4"]),
        ([*TRIALS, f"0 {FILES[0]} id10009/v/1.wav"], ["names 1 of 5 files", "id10009/v/1.wav"]),
        ([*TRIALS, f"1 {FILES[0]} {FILES[5]}"], ["must begin with 0"]),
        (TRIALS[:1], ["must have pairs of two speakers"]),
        (TRIALS[1:], ["must have pairs of one speaker"]),
    ],
)
def test_a_trial_list_that_cannot_be_used_is_named_in_one_line(corpus, lines, parts):
    assert_refused_in_one_line(read_trials, corpus, lines, parts)


def test_an_utterance_shorter_than_one_window_is_refused(corpus):
    soundfile.write(corpus / "wav" / FILES[3], np.zeros(500), 16_000)
    with pytest.raises(DataError, match=r"00002.wav must hold at least one window of 0.04 s"):
        read_split_list(written(corpus, SPLIT), corpus, 0.04)
