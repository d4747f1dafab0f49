from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.corpora.summary import summary


def _manifest(*items):
    """From (emotion, speaker, session), each 36 s long."""
    rows = [
        Utterance(f"x_{number}", "a.wav", 36.0, emotion, "?", speaker=speaker, session=session)
        for number, (emotion, speaker, session) in enumerate(items)
    ]
    return {row.id: row for row in rows}


def test_sessions_are_rows_and_classes_are_columns_in_their_order():
    text = summary(_manifest(("sad", "x_a", "1"), ("angry", "x_a", "1"), ("sad", "x_b", "2"), ("sad", "x_b", "2")))
    assert text.split("\n") == [
        "4 utterances, 2 speakers, 0.04 h",
        "",
        "session  angry  sad  total",
        "1            1    1      2",
        "2            0    2      2",
        "total        1    3      4",
    ]


def test_speakers_are_rows_where_there_is_no_session():
    text = summary(_manifest(("sad", "x_a", None), ("sad", None, "2")))
    assert [line.split()[0] for line in text.split("\n")[2:]] == ["speaker", "unknown", "x_a", "total"]


def test_a_corpus_with_its_own_folds_shows_them_in_the_order_they_are_used():
    texts = [
        Utterance(f"x_{fold}", "", 0.0, "sad", "?", speaker="x_a", fold=fold) for fold in ("test", "train", "valid")
    ]
    text = summary({item.id: item for item in texts})
    assert text.split("\n")[0] == "3 utterances, 1 speaker, text alone"
    assert [line.split()[0] for line in text.split("\n")[2:]] == ["fold", "train", "valid", "test", "total"]


def test_unknown_speakers_are_called_unknown():
    assert "2 utterances, speakers unknown" in summary(_manifest(("sad", None, None), ("sad", None, None)))


def test_many_speakers_are_summed_up():
    text = summary(_manifest(*(("sad", f"x_{number}", None) for number in range(100))))
    assert text.split("\n")[2:] == ["speaker  sad  total", "total    100    100"]
