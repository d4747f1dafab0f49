import errno
import re
import wave
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emorec_lobes.corpora import synthetic
from emorec_lobes.corpora.iemocap import read, read_transcripts, read_turns
from emorec_lobes.corpora.synthetic import make_corpus
from emorec_lobes.corpora.synthetic_text import ACTED, deck, rate
from emorec_lobes.errors import DataError

NUM_TURNS = 3
NUM_UTTERANCES = 5 * 6 * NUM_TURNS
# A rater's word -> the release's code, written out independently of the writer's own table.
CODES = {
    **{"Anger": "ang", "Neutral": "neu", "Happiness": "hap", "Sadness": "sad"},
    **{"Excited": "exc", "Frustration": "fru", "Surprise": "sur"},
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    pytest.importorskip("espeakng_loader")
    folder = tmp_path_factory.mktemp("synthetic") / "corpus"
    assert make_corpus(folder, seed=1, num_turns=NUM_TURNS, progress=False)
    return folder


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(corpus, tmp_path):
    make_corpus(tmp_path / "again", seed=1, num_turns=NUM_TURNS, progress=False)
    make_corpus(tmp_path / "other", seed=2, num_turns=NUM_TURNS, progress=False)
    assert files_of(tmp_path / "again") == files_of(corpus)
    assert files_of(tmp_path / "other") != files_of(corpus)


def test_the_corpus_reader_finds_ten_speakers_four_emotions_and_both_kinds(corpus):
    utterances, _ = read(corpus, prefix="synthetic")
    assert {item.speaker for item in utterances} == {f"synthetic_Ses0{n}{g}" for n in range(1, 6) for g in "FM"}
    assert {item.emotion for item in utterances} == {"angry", "neutral", "happy", "sad"}
    assert {item.kind for item in utterances} == {"improvised", "scripted"}
    assert {item.raw_emotion for item in utterances} >= {"hap", "exc"}
    assert all(item.text and item.duration > 0.5 for item in utterances)


def test_four_class_utterances_are_about_balanced_in_every_session():
    for session in range(5):
        emotions = Counter(deck(4 * 12, np.random.default_rng(session)))
        four = [emotions["ang"], emotions["neu"], emotions["hap"] + emotions["exc"], emotions["sad"]]
        assert max(four) - min(four) <= 2
        assert min(four) >= 10


def test_waves_are_16_khz_mono_16_bit_not_clipped_and_as_long_as_their_turn(corpus):
    turns = {turn: times for path in corpus.rglob("EmoEvaluation/*.txt") for turn, times in turn_times(path)}
    waves = sorted(corpus.rglob("*.wav"))
    assert len(waves) == len(turns) == NUM_UTTERANCES
    for path in waves:
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        start_s, stop_s = turns[path.stem]
        assert info.duration == pytest.approx(stop_s - start_s, abs=2e-4)
        samples = soundfile.read(path)[0]
        assert np.mean(np.abs(samples) > 0.999) < 1e-3
        assert np.sqrt(np.mean(samples**2)) > 0.005


def turn_times(path):
    pattern = r"^\[(\S+) - (\S+)\]\t(\S+)\t"
    return [(name, (float(a), float(b))) for a, b, name in re.findall(pattern, path.read_text(), re.MULTILINE)]


def test_turns_of_a_dialog_do_not_overlap(corpus):
    for path in corpus.rglob("EmoEvaluation/*.txt"):
        times = [times for _, times in turn_times(path)]
        assert all(before[1] < after[0] for before, after in pairwise(times))


def test_the_label_is_what_most_raters_ticked(corpus):
    for path in corpus.rglob("EmoEvaluation/*.txt"):
        for turn in read_turns(path):
            assert sorted(turn.ratings) == ["E2", "E3", "E4"]
            votes = Counter(CODES.get(name, "oth") for names in turn.ratings.values() for name in names).most_common()
            clear = votes[0][1] >= 2 and (len(votes) == 1 or votes[1][1] < votes[0][1])
            assert turn.label == (votes[0][0] if clear else "xxx")


def test_raters_disagree_sometimes_and_some_turns_have_no_majority():
    generator = np.random.default_rng(0)
    ratings = [rate(acted, generator) for acted in ACTED for _ in range(200)]
    disputed = sum(len(set(rating.categories)) > 1 for rating in ratings) / len(ratings)
    assert 0.2 < disputed < 0.7
    assert 0.01 < sum(rating.label == "xxx" for rating in ratings) / len(ratings) < 0.2


def test_every_turn_has_a_transcript_and_one_line_belongs_to_none(corpus):
    for path in corpus.rglob("transcriptions/*.txt"):
        turns = read_turns(path.parents[1] / "EmoEvaluation" / path.name)
        assert list(read_transcripts(path)) == [turn.id for turn in turns]
        assert len(path.read_text().splitlines()) == len(turns) + 1


def test_some_transcripts_are_a_bracket_token_alone_and_those_have_no_alignment(corpus):
    texts = {id: text for path in corpus.rglob("transcriptions/*.txt") for id, text in read_transcripts(path).items()}
    aligned = {path.stem for path in corpus.rglob("*.phseg")}
    alone = {id for id, text in texts.items() if re.fullmatch(r"\[\w+\]", text)}
    assert {texts[id] for id in alone} == {"[LAUGHTER]", "[BREATHING]"}
    assert not alone & aligned
    assert aligned < set(texts) - alone, "some utterance with words must lack its alignment too"


def test_scripts_are_the_same_in_every_session(corpus):
    scripts = [
        [text for path in sorted(corpus.glob(f"Session{n}/dialog/transcriptions/*script*")) for text in texts_of(path)]
        for n in range(1, 6)
    ]
    assert scripts[0] and all(script == scripts[0] for script in scripts)


def texts_of(path):
    return read_transcripts(path).values()


def test_alignments_cover_the_wave_without_gap_or_overlap(corpus):
    for path in [*corpus.rglob("*.phseg"), *corpus.rglob("*.wdseg")]:
        header, *rows, total = path.read_text().splitlines()
        assert header.split()[:3] == ["SFrm", "EFrm", "SegAScr"]
        assert total.split()[0] == "Total"
        frames = [tuple(map(int, row.split()[:2])) for row in rows]
        assert frames[0][0] == 0
        assert all(after[0] == before[1] + 1 for before, after in pairwise(frames))
        with wave.open(str(wave_of(path))) as stream:
            assert frames[-1][1] + 1 == pytest.approx(stream.getnframes() / 160, abs=1)
        assert sum(int(row.split()[2]) for row in rows) == int(total.split()[-1])


def wave_of(path: Path) -> Path:
    return path.parents[2] / "wav" / path.parent.name / f"{path.stem}.wav"


def test_phone_rows_name_their_neighbours_and_their_place_in_the_word(corpus):
    letters = Counter()
    for path in corpus.rglob("*.phseg"):
        rows = [row.split()[3:] for row in path.read_text().splitlines()[1:-1]]
        open_word = False
        for before, row, after in zip([["SIL"], *rows], [*rows, ["SIL"]], [*rows[1:], ["SIL"], ["SIL"]], strict=True):
            if len(row) == 1:
                continue
            assert row[1] == (before[0] if before[0].isalpha() else "SIL")
            assert row[2] == (after[0] if after[0].isalpha() else "SIL")
            assert open_word == (row[3] in "ie"), f"{path}: {row}"
            open_word = row[3] in "bi"
            letters[row[3]] += 1
    assert set(letters) == set("bies")


def test_words_of_the_alignment_are_those_of_the_transcript(corpus):
    texts = {id: text for path in corpus.rglob("transcriptions/*.txt") for id, text in read_transcripts(path).items()}
    paths = list(corpus.rglob("*.wdseg"))
    for path in paths:
        labels = [row.split()[3] for row in path.read_text().splitlines()[1:-1]]
        assert labels[0] == "<s>" and labels[-1] == "</s>"
        expected = re.sub(r"\[(\w+)\]", r"++\1++", re.sub(r"[.,?!]", "", texts[path.stem])).upper().split()
        assert [label for label in labels[1:-1] if label != "<sil>"] == expected


def test_the_silence_of_an_alignment_is_quiet_in_its_wave(corpus):
    loud, quiet = [], []
    for path in corpus.rglob("*.phseg"):
        samples = soundfile.read(wave_of(path))[0]
        for row in path.read_text().splitlines()[1:-1]:
            first, last, _, phone, *_ = row.split()
            part = samples[int(first) * 160 : (int(last) + 1) * 160]
            (quiet if phone == "SIL" else loud).append(np.mean(part**2))
    assert np.median(loud) > 30 * np.median(quiet)


def test_emotions_differ_in_loudness_and_overlap(corpus):
    levels_db = {"angry": [], "neutral": [], "happy": [], "sad": []}
    for item in read(corpus, prefix="synthetic")[0]:
        samples = soundfile.read(item.wav.format(data_root=corpus))[0]
        levels_db[item.emotion].append(10 * np.log10(np.mean(samples**2)))
    assert np.mean(levels_db["angry"]) > np.mean(levels_db["neutral"]) + 2
    assert np.mean(levels_db["neutral"]) > np.mean(levels_db["sad"]) + 2
    assert min(levels_db["angry"]) < max(levels_db["neutral"])
    assert min(levels_db["neutral"]) < max(levels_db["sad"])


def test_a_folder_that_holds_this_corpus_is_left_as_it_is(corpus):
    before = {path: path.stat().st_mtime_ns for path in corpus.rglob("*")}
    assert not make_corpus(corpus, seed=1, num_turns=NUM_TURNS, progress=False)
    assert {path: path.stat().st_mtime_ns for path in corpus.rglob("*")} == before


def test_a_folder_that_holds_another_corpus_is_refused(corpus):
    with pytest.raises(DataError, match="holds another synthetic corpus instead"):
        make_corpus(corpus, seed=2, num_turns=NUM_TURNS, progress=False)


def test_a_folder_with_other_files_is_refused_and_kept(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="must be empty, but holds other files"):
        make_corpus(tmp_path, progress=False)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "corpus").write_text("")
    with pytest.raises(DataError, match="must be a folder, but is a file"):
        make_corpus(tmp_path / "corpus", progress=False)


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    pytest.importorskip("espeakng_loader")

    def full(path, samples):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(synthetic, "_write_wave", full)
    with pytest.raises(DataError, match="No space left on device") as caught:
        make_corpus(tmp_path / "corpus", num_turns=2, progress=False)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("seed", "num_turns"), [(-1, 12), (1, 1)])
def test_numbers_out_of_range_are_refused(tmp_path, seed, num_turns):
    with pytest.raises(DataError, match="`seed` must be 0 or more and `num_turns` 2 or more"):
        make_corpus(tmp_path / "corpus", seed=seed, num_turns=num_turns)
