import json

import numpy as np
import pytest
import torch

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.errors import ConfigError, DataError, UnavailableError
from emorec_lobes.features import aligners
from emorec_lobes.features.alignments import Segment
from emorec_lobes.features.phone_table import phone_id, phone_name
from emorec_lobes.features.phones import PhoneExtractor, frame_ids, token_alone, unaligned, warn_of_unaligned
from emorec_lobes.features.spec import ExtractionSpec
from emorec_lobes.features.store import FeatureStore
from emorec_lobes.units import num_frames

PHSEG = "SFrm EFrm SegAScr Phone\n0 9 -1 SIL\n10 29 -1 AY SIL SIL s\n Total score: -2\n"


def utterance(**fields):
    return Utterance(**{"id": "a", "wav": "a.wav", "duration": 0.4, "emotion": "sad", "raw_emotion": "sad", **fields})


def names(ids):
    return [phone_name(int(number)) for number in ids]


def slow_frame_ids(segments, frames, duration_s):
    """Counts every 0.1 ms by itself."""
    ids = []
    for frame in range(frames):
        votes = {}
        for tick in range(-100, 100):
            moment_s = frame * 0.02 + (tick + 0.5) / 10_000
            if not 0 <= moment_s < duration_s:
                continue
            label = next((item.label for item in segments if item.start_s <= moment_s < item.stop_s), "SIL")
            votes[phone_id(label)] = votes.get(phone_id(label), 0) + 1
        ids.append(max(votes, key=votes.get))  # of equals the first
    return ids


def test_the_frame_rule_agrees_with_counting_every_tenth_of_a_millisecond():
    generator = np.random.default_rng(0)
    for _ in range(5):
        edges_s = np.unique(generator.integers(0, 6000, 40)) / 10_000
        spans = [span for span in zip(edges_s[::2], edges_s[1::2], strict=False) if span[1] - span[0] >= 0.002]
        labels = generator.choice(["AE_B", "K_E", "AY_S", "SIL", "S_I", "LAUGHTER"], len(spans))
        segments = [Segment(start_s, stop_s, label) for (start_s, stop_s), label in zip(spans, labels, strict=True)]
        frames = num_frames(round(0.61 * 16_000))
        assert frame_ids(segments, frames, 0.61).tolist() == slow_frame_ids(segments, frames, 0.61)


def test_frames_are_centred_on_multiples_of_20_ms():
    # 30 ms to 50 ms is exactly frame 2.
    assert names(frame_ids([Segment(0.030, 0.050, "AA_B")], 5, 0.09)) == ["SIL", "SIL", "AA_B", "SIL", "SIL"]
    assert names(frame_ids([Segment(0.041, 0.061, "AA_B")], 5, 0.09)) == ["SIL", "SIL", "SIL", "AA_B", "SIL"]


def test_of_two_phones_that_cover_a_frame_alike_the_first_wins():
    first, second = Segment(0.0, 0.02, "ZH_I"), Segment(0.02, 0.04, "AA_I")
    assert names(frame_ids([first, second], 3, 0.05)) == ["ZH_I", "ZH_I", "AA_I"]


def test_the_first_and_last_frame_count_only_what_is_audio():
    # Half of frame 0 lies before the audio, half of the last one after it.
    assert names(frame_ids([Segment(0.0, 0.08, "AA_B")], 5, 0.08)) == ["AA_B"] * 5


def test_phones_shorter_than_2_ms_are_ignored():
    assert names(frame_ids([Segment(0.0, 0.0019, "AA_B")], 1, 0.003)) == ["SIL"]
    assert names(frame_ids([Segment(0.0, 0.0021, "AA_B")], 1, 0.003)) == ["AA_B"]


def test_short_pieces_of_one_phone_count_together():
    pieces = [Segment(0.010, 0.016, "AA_B"), Segment(0.016, 0.024, "K_E"), Segment(0.024, 0.030, "AA_B")]
    assert names(frame_ids(pieces, 2, 0.030))[1] == "AA_B"


@pytest.mark.parametrize("num_samples", [400, 640, 16_000, 16_001, 16_319, 16_320])
@pytest.mark.parametrize("aligner", ["none", "file", "pocketsphinx"])
def test_every_aligner_gives_one_id_for_every_frame(tmp_path, aligner, num_samples):
    if aligner == "pocketsphinx":
        pytest.importorskip("pocketsphinx")
    (tmp_path / "a.phseg").write_text(PHSEG)
    extractor = PhoneExtractor(aligner)
    spoken = utterance(text="Hello there.", phones="{data_root}/a.phseg")
    ids = extractor(torch.zeros(num_samples), spoken, tmp_path)
    assert ids.dtype == torch.uint8
    assert ids.shape == (num_frames(num_samples),)
    assert ids.max() < 128


def test_without_an_aligner_every_frame_is_unknown_even_of_a_laugh():
    ids = PhoneExtractor("none")(torch.zeros(6_400), utterance(text="[LAUGHTER]"), None)
    assert names(ids) == ["UNKNOWN"] * 21


def test_an_alignment_file_is_found_below_the_data_folder(tmp_path):
    (tmp_path / "a.phseg").write_text(PHSEG)
    ids = PhoneExtractor("file")(torch.zeros(6_400), utterance(text="I", phones="{data_root}/a.phseg"), tmp_path)
    assert names(ids) == ["SIL"] * 6 + ["AY_S"] * 10 + ["SIL"] * 5


def test_a_part_of_a_recording_gets_the_phones_of_that_part(tmp_path):
    (tmp_path / "a.phseg").write_text(PHSEG)
    part = utterance(text="I", phones="{data_root}/a.phseg", start=0.08, stop=0.48)
    assert names(PhoneExtractor("file")(torch.zeros(6_400), part, tmp_path))[:3] == ["SIL", "SIL", "AY_S"]


def test_an_utterance_without_an_alignment_is_unknown(tmp_path):
    assert names(PhoneExtractor("file")(torch.zeros(640), utterance(text="I"), tmp_path)) == ["UNKNOWN"] * 3


def test_a_bracket_token_alone_needs_no_alignment(tmp_path):
    ids = PhoneExtractor("file")(torch.zeros(640), utterance(text="[LIPSMACK]"), tmp_path)
    assert names(ids) == ["LIPSMACK"] * 3


def store_of(folder, aligner, phones):
    """A store that holds these ids: utterance -> names of its frames."""
    store = FeatureStore.open(folder, ExtractionSpec("mel", 1, 80, aligner=aligner).header("phones"))
    for item, frames in phones.items():
        store.write(item, torch.tensor([phone_id(name) for name in frames], dtype=torch.uint8), "0", ())
    return store


def test_what_is_unknown_throughout_is_unaligned(tmp_path):
    phones = {
        "said": ["SIL", "AY_S"],
        "missing": ["UNKNOWN", "UNKNOWN"],
        "half": ["UNKNOWN", "AY_S"],
        "silent": ["SIL", "SIL"],
        "laugh": ["LAUGHTER"],
        "lost": ["UNKNOWN"],
    }
    store = store_of(tmp_path, "file", phones)
    assert unaligned(store, phones) == ["missing", "lost"]
    assert unaligned(store, ["said", "lost"]) == ["lost"]  # of those asked for


def test_without_an_aligner_nothing_is_missing(tmp_path):
    assert unaligned(store_of(tmp_path, "none", {"a": ["UNKNOWN"]}), ["a"]) == []


def test_the_warning_is_one_line_with_count_and_first_id_or_nothing(capsys):
    warn_of_unaligned([], 3)
    assert capsys.readouterr() == ("", "")
    warn_of_unaligned(["b", "c"], 3)
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("2 of 3 utterances") and "'b'" in err


@pytest.mark.parametrize(
    ("text", "token"),
    [
        (" [laughter]. ", "LAUGHTER"),
        ("[BREATHING] [LAUGHTER]", "BREATHING"),
        ("[NOISE] [GARBAGE]", "GARBAGE"),
        ("[NOISE]", None),
        ("[LAUGHTER] No.", None),
        ("", None),
    ],
)
def test_which_transcripts_are_a_token_alone(text, token):
    assert token_alone(text) == token


def test_a_broken_alignment_file_is_an_error_that_names_it(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"words": 3}))
    with pytest.raises(DataError, match=r"a\.json"):
        PhoneExtractor("file")(torch.zeros(640), utterance(text="I", phones="{data_root}/a.json"), tmp_path)


def test_an_unknown_aligner_lists_the_valid_ones():
    with pytest.raises(ConfigError, match="`aligner` must be one of none, file, pocketsphinx, but is 'files'"):
        PhoneExtractor("files")


def test_identities_differ_between_aligners_and_are_plain_values():
    pytest.importorskip("pocketsphinx")
    identities = [json.dumps(PhoneExtractor(name).identity) for name in ("none", "file", "pocketsphinx")]
    assert len(set(identities)) == 3
    assert "pocketsphinx" in json.loads(identities[2])


def test_missing_pocketsphinx_says_what_to_install(monkeypatch):
    def missing(name):
        raise aligners.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(aligners.importlib.metadata, "version", missing)
    with pytest.raises(UnavailableError, match="pip install pocketsphinx"):
        PhoneExtractor("pocketsphinx")
