"""A rehearsal of some rows of each paper, with the real recipes, probe and fusion, each in a process of its own."""

from dataclasses import replace

import pytest

from emorec_lobes.experiments.engines import LocalEngine
from emorec_lobes.experiments.paper_jobs import paper_jobs, places_of
from emorec_lobes.experiments.papers import PaperFusion, read_paper, read_rehearsal
from emorec_lobes.experiments.reproduce import reproduce, tables


class Idle:
    """An engine for which nothing should be left to do."""

    def submit(self, job):
        """Fails the test."""
        pytest.fail(f"{job.name} was run again")

    def stop(self):
        """Nothing runs."""


def only(paper, runs, probes=(), fusions=()):
    """A paper with some of its runs."""
    kept = {name: paper.runs[name] for name in runs}
    needed = {run.pretrained for run in kept.values()}
    return replace(
        paper,
        pretrainings={name: run for name, run in paper.pretrainings.items() if name in needed},
        runs=kept,
        probes={name: paper.probes[name] for name in probes},
        fusions=dict(fusions),
    )


MAKIUCHI = only(
    read_paper("makiuchi2021"),
    ["ser_small", "ter_xlnet"],
    ["speakers_of_small"],
    {"fusion": PaperFusion(("ser_small", "ter_xlnet"), (0.6, 1.0))},
)
XI = only(read_paper("xi2022"), ["resnet18_pretrained_ad"])


@pytest.mark.slow
@pytest.mark.parametrize("paper", [MAKIUCHI, XI], ids=["makiuchi2021", "xi2022"])
def test_rows_are_made_from_nothing_and_their_tables_filled(paper, tmp_path):
    pytest.importorskip("espeakng_loader")
    rehearsal = read_rehearsal()
    places = places_of(paper.name, tmp_path / "to", None, None, None, is_rehearsal=True)
    jobs = paper_jobs(paper, places, seeds=[1], threads=1, rehearsal=rehearsal)
    assert reproduce(jobs, LocalEngine(), at_once=2) == []
    text = tables(jobs)
    own = {*paper.runs, *paper.probes, *paper.fusions}
    named = [(table, row) for table in paper.tables for row in table.rows if row.run in own]
    assert len(named) >= 2
    for _, row in named:
        filled = [line for line in text.splitlines() if line.startswith(f"| {row.name} | rehearsal |")]
        assert any("| -" not in line for line in filled)
    assert reproduce(jobs, Idle(), at_once=1) == []
