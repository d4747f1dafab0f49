import json
import sys

import pytest

from emorec_lobes.errors import DataError, UnavailableError
from emorec_lobes.features.alignments import read_alignment

PHSEG = """\
  SFrm  EFrm    SegAScr Phone
     0    12    -100000 SIL
    13    19     -50000 HH SIL AY b
    20    45     -70000 AY HH SIL e
    46    60     -70000 +BREATHING+
    61    61      -7000 AY SIL SIL s
 Total score:    -297000
"""


def listed(segments):
    return [(round(item.start_s, 4), round(item.stop_s, 4), item.label) for item in segments]


def written(folder, name, content):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_sphinx_ends_are_inclusive_and_the_position_is_the_last_column(tmp_path):
    assert listed(read_alignment(written(tmp_path, "a.phseg", PHSEG), 1.0)) == [
        (0.0, 0.13, "SIL"),
        (0.13, 0.20, "HH_b"),
        (0.20, 0.46, "AY_e"),
        (0.46, 0.61, "+BREATHING+"),
        (0.61, 0.62, "AY_s"),
    ]


def gentle(*words, transcript="hi [LAUGHTER] there you"):
    return {"transcript": transcript, "words": list(words)}


HI = {
    **{"case": "success", "word": "hi", "start": 0.5, "end": 0.7, "startOffset": 0},
    "phones": [{"duration": 0.05, "phone": "hh_B"}, {"duration": 0.15, "phone": "ay_E"}],
}
YOU = {
    **{"case": "success", "word": "you", "start": 1.5, "end": 1.6, "startOffset": 20},
    "phones": [{"duration": 0.1, "phone": "y_B"}],
}
LAUGHTER = {"case": "not-found-in-audio", "word": "LAUGHTER", "startOffset": 4}
THERE = {"case": "not-found-in-audio", "word": "there", "startOffset": 14}


def test_gentle_durations_count_from_each_words_own_start(tmp_path):
    path = written(tmp_path, "a.json", gentle(HI, YOU))
    assert listed(read_alignment(path, 2.0)) == [(0.5, 0.55, "hh_B"), (0.55, 0.7, "ay_E"), (1.5, 1.6, "y_B")]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((HI, THERE, YOU), (0.7, 1.5, "UNKNOWN")),
        ((HI, LAUGHTER, YOU), (0.7, 1.5, "LAUGHTER")),
        ((HI, LAUGHTER, THERE, YOU), (0.7, 1.5, "LAUGHTER")),
        ((THERE, HI), (0.0, 0.5, "UNKNOWN")),
        ((HI, THERE), (0.7, 2.0, "UNKNOWN")),
        ((THERE,), (0.0, 2.0, "UNKNOWN")),
        ((HI, {**LAUGHTER, "startOffset": 3}, YOU), (0.7, 1.5, "UNKNOWN")),
    ],
)
def test_what_gentle_did_not_find_fills_the_gap_to_its_neighbours(tmp_path, words, expected):
    assert expected in listed(read_alignment(written(tmp_path, "a.json", gentle(*words)), 2.0))


PHONES_TIER = [(0.1, 0.2, "HH"), (0.2, 0.5, "AY1"), (0.6, 0.8, "AY0"), (0.8, 0.9, "spn")]
WORDS_TIER = [(0.1, 0.5, "hi"), (0.6, 0.8, "I"), (0.8, 0.9, "<unk>")]


def textgrid(folder, **tiers):
    praatio = pytest.importorskip("praatio.textgrid")
    grid = praatio.Textgrid()
    for name, entries in tiers.items():
        grid.addTier(praatio.IntervalTier(name, entries, 0, 1.0))
    path = folder / "a.TextGrid"
    grid.save(str(path), format="long_textgrid", includeBlankSpaces=True)
    return path


def test_a_textgrid_takes_the_place_in_the_word_from_its_words(tmp_path):
    path = textgrid(tmp_path, words=WORDS_TIER, phones=PHONES_TIER)
    assert listed(read_alignment(path, 1.0)) == [
        (0.1, 0.2, "HH_B"),
        (0.2, 0.5, "AY1_E"),
        (0.6, 0.8, "AY0_S"),
        (0.8, 0.9, "spn_S"),
    ]


def test_a_textgrid_without_words_gives_phones_without_place(tmp_path):
    path = textgrid(tmp_path, phones=PHONES_TIER)
    assert [item.label for item in read_alignment(path, 1.0)] == ["HH", "AY1", "AY0", "spn"]


def test_a_textgrid_tier_may_carry_the_speakers_name(tmp_path):
    path = textgrid(tmp_path, **{"Anna - words": WORDS_TIER, "Anna - phones": PHONES_TIER})
    assert [item.label for item in read_alignment(path, 1.0)][:2] == ["HH_B", "AY1_E"]


def test_a_pause_inside_a_textgrids_word_is_no_phone_of_it(tmp_path):
    path = textgrid(tmp_path, words=[(0.0, 0.9, "hi")], phones=[(0.0, 0.3, "HH"), (0.3, 0.6, "sil"), (0.6, 0.9, "AY1")])
    assert [item.label for item in read_alignment(path, 1.0)] == ["HH_B", "sil", "AY1_E"]


BROKEN = {
    "empty.phseg": "",
    "cut.phseg": "\n".join(PHSEG.splitlines()[:4]),
    "no_header.phseg": "\n".join(PHSEG.splitlines()[1:]),
    "letters.phseg": PHSEG.replace("13    19", "xx    19"),
    "short_row.phseg": PHSEG.replace("SIL\n", "\n", 1),
    "backwards.phseg": PHSEG.replace("13    19", "13     9"),
    "empty.json": "",
    "cut.json": json.dumps(gentle(HI))[:60],
    "list.json": "[1, 2]",
    "no_words.json": {"transcript": "hi"},
    "no_phones.json": gentle({"case": "success", "word": "hi", "start": 0.5, "end": 0.7}),
    "no_start.json": gentle({**HI, "start": None}),
    "infinite.json": gentle({**HI, "start": float("inf")}),
    "nan.json": gentle({**HI, "start": float("nan")}),
    "empty.TextGrid": "",
    "prose.TextGrid": "Not a\nTextGrid at all.",
    "cut.TextGrid": 'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\ntiers? <exists>\nsize = 1',
    "wrong.txt": "",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_one_line_that_names_it(tmp_path, name):
    path = written(tmp_path, name, BROKEN[name])
    with pytest.raises(DataError) as caught:
        read_alignment(path, 1.0)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_one_line_too(tmp_path):
    for name in ("a.phseg", "a.json", "a.TextGrid"):
        (tmp_path / name).write_bytes(bytes(range(256)))
        with pytest.raises(DataError, match=name):
            read_alignment(tmp_path / name, 1.0)


def test_a_textgrid_without_phones_says_what_tiers_it_has(tmp_path):
    with pytest.raises(DataError, match="no tier `phones`, but words"):
        read_alignment(textgrid(tmp_path, words=WORDS_TIER), 1.0)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(DataError, match=r"gone.phseg cannot be read \(No such file or directory\)"):
        read_alignment(tmp_path / "gone.phseg", 1.0)


def test_a_missing_library_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "praatio.textgrid", None)
    with pytest.raises(UnavailableError, match="pip install praatio"):
        read_alignment(written(tmp_path, "a.TextGrid", ""), 1.0)
