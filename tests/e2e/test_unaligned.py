"""Utterances without an alignment are counted, and said."""

import json
from dataclasses import replace

from emorec_lobes.corpora.manifest import read_info, read_manifest, write_manifest

PHSEG = "SFrm EFrm SegAScr Phone\n0 9 -1 SIL\n10 29 -1 AY SIL SIL s\n Total score: -2\n"


def with_alignments(folder, train):
    """A manifest of the tones of which all but two have an alignment file, and these two."""
    assert train(folder / "before", fold=1)[0] == 0
    made = folder / "before" / "manifest.json"
    utterances = read_manifest(made)
    missing = list(utterances)[3:5]
    (folder / "a.phseg").write_text(PHSEG)
    named = [
        utterance if item in missing else replace(utterance, phones=str(folder / "a.phseg"))
        for item, utterance in utterances.items()
    ]
    write_manifest(folder / "manifest.json", named, read_info(made))
    return folder / "manifest.json", missing


def test_a_run_says_how_many_utterances_have_no_alignment_and_records_it(train, tmp_path):
    manifest, missing = with_alignments(tmp_path, train)
    for attempt in ("first", "from the stores"):  # the second computes nothing, and says it again
        code, _, err = train(tmp_path / attempt, fold=1, aligner="file", manifest=manifest)
        assert code == 0
        lines = [line for line in err.splitlines() if "no alignment" in line]
        assert len(lines) == 1 and lines[0].startswith("2 of 24 utterances") and repr(missing[0]) in lines[0]
        record = json.loads((tmp_path / attempt / "fold_1/results.json").read_text())
        assert record["stamp"]["unaligned_utterances"] == 2


def test_without_an_aligner_there_is_nothing_to_count(train, tmp_path):
    code, _, err = train(tmp_path / "run", fold=1)
    record = json.loads((tmp_path / "run/fold_1/results.json").read_text())
    assert code == 0 and "no alignment" not in err and "unaligned_utterances" not in record["stamp"]
