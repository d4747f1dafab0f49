"""A paper's jobs on an engine that writes what a recipe would: their order, failures, and what is not run again."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from emorec_lobes.experiments.engines import Outcome
from emorec_lobes.experiments.paper_jobs import paper_jobs, places_of
from emorec_lobes.experiments.papers import PaperFusion, PaperRun, read_paper
from emorec_lobes.experiments.reproduce import listing, reproduce, tables
from emorec_lobes.files import write_json

SCORES = {"accuracy": 0.5, "uar": 0.4, "weighted_f1": 0.3, "macro_f1": 0.2}
AD = PaperRun("IEMOCAP/train_ad.py", "ad_vgg5", {"ad_positions": []})
PAPER = replace(
    read_paper("makiuchi2021"),
    pretrainings={"speakers": PaperRun("VoxCeleb/train_speaker.py", "speaker_resnet18")},
    runs={
        "late": replace(AD, pretrained="speakers"),
        "ser_small": replace(AD, overrides={}),
        "ter_bert_uncased": AD,
    },
    probes={"speakers_of_small": "ser_small"},
    fusions={"fusion": PaperFusion(("ser_small", "ter_bert_uncased"), (0.6, 1.0))},
)


class Pretender:
    """Writes what each job would leave; jobs whose name holds `bad` fail."""

    def __init__(self, bad="nothing fails"):
        self.bad, self.done = bad, []

    def submit(self, job):
        """Does a job."""
        self.done.append(job.name)
        job.log.parent.mkdir(parents=True, exist_ok=True)
        if self.bad in job.name:
            job.log.write_text("a bar\ntrain_ad.py: the disk is full.\n")
            return Outcome(2, 0.0)
        self.write(job)
        return Outcome(0, 0.0)

    def stop(self):
        """Nothing runs on."""

    def write(self, job):
        """What a job leaves."""
        options = dict(word.removeprefix("--").split("=", 1) for word in job.words if "=" in word)
        if "probe" in job.words:
            path = Path(job.words[2]) / f"fold_{job.words[4]}/probe/probe.json"
            rows = [("speaker", "linear", 0.9), ("speaker", "network", 0.125), ("emotion", "network", 0.8)]
            probes = [
                {"asked_for": asked, "probe": probe, "utterances": "held out", "accuracy": value}
                for asked, probe, value in rows
            ]
            return write_later(path, {"probes": probes})
        if "fuse" in job.words:
            sources = [{"sha256": hashlib.sha256(Path(word).read_bytes()).hexdigest()} for word in job.words[2:4]]
            record = {"folds": [fold_row("1"), fold_row("2")], **SCORES, "fusion": {"inputs": sources}}
            return write_later(Path(job.words[-1]) / "results.json", record)
        folder, fold = Path(options["output_folder"]), options.get("fold")
        if fold == "none":
            return write_later(folder / "config.json", {"folds": ["1", "2"]})
        record = {"folds": [fold_row(fold)], **SCORES}
        if fold == "all":
            record["folds"] = [fold_row("1"), fold_row("2")]
            (folder / "predictions.csv").write_text(job.name)
        return write_later((folder / f"fold_{fold}" if fold in ("1", "2") else folder) / "results.json", record)


def fold_row(fold):
    return {"fold": fold, **SCORES}


def write_later(path, record):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"fingerprint": {}, "stamp": {}, **record})


@pytest.fixture(scope="module")
def make_jobs(tmp_path_factory):
    """(whether there is data for the pre-training) -> jobs in a new folder; settings are read once."""
    place = tmp_path_factory.mktemp("made")
    known = {}

    def make(folder, with_speakers=True):
        if with_speakers not in known:
            places = places_of("x", place / "TO", place, place if with_speakers else None, None, is_rehearsal=False)
            known[with_speakers] = paper_jobs(PAPER, places, [1], 1)
        return moved(known[with_speakers], place / "TO", folder)

    return make


def moved(jobs, old, new):
    """The same jobs in another folder."""

    def words(given):
        return tuple(word.replace(str(old), str(new)) for word in given)

    def run(each):
        values = {**each.settings.values, "output_folder": each.settings["output_folder"].replace(str(old), str(new))}
        return replace(each, words=words(each.words), settings=replace(each.settings, values=values))

    def pretraining(each):
        folder = Path(str(each.folder).replace(str(old), str(new)))
        return replace(each, folder=folder, job=replace(each.job, words=words(each.job.words), log=folder / "log.txt"))

    return replace(
        jobs,
        places=replace(jobs.places, to=new),
        runs={name: [run(each) for each in seeds] for name, seeds in jobs.runs.items()},
        pretrainings={name: each and pretraining(each) for name, each in jobs.pretrainings.items()},
    )


def test_what_a_job_needs_is_run_before_it_and_nothing_is_run_again(make_jobs, tmp_path):
    jobs, engine = make_jobs(tmp_path), Pretender()
    assert reproduce(jobs, engine, at_once=1) == []
    place = engine.done.index
    assert place("speakers") < place("late, seed 1, preparation") < place("late, seed 1, fold 2")
    assert place("late, seed 1, fold 2") < place("late, seed 1, pooling")
    assert place("ser_small, seed 1, fold 1") < place("speakers_of_small, seed 1, fold 1")
    assert place("ter_bert_uncased, seed 1, pooling") < place("fusion, seed 1")
    assert len(engine.done) == len(set(engine.done)) == 1 + 3 * (1 + 2 + 1) + 2 + 1
    again = Pretender()
    assert reproduce(jobs, again, at_once=1) == [] and again.done == []


def test_a_row_shows_the_papers_numbers_and_what_was_made(make_jobs, tmp_path):
    jobs = make_jobs(tmp_path)
    reproduce(jobs, Pretender(), at_once=1)
    text = tables(jobs)
    assert "| Small | paper | 67.9 | 71.7 | 67.3 | 72.2 | 71.6 | 70.1 ± 2.3 |" in text
    assert "| Small | ours | 50.0 | 50.0 | - | - | - | 50.0 ± 0.0 |" in text
    assert "| Small | ours | 12.5 | 12.5 | - | - | - | 12.5 ± 0.0 |" in text  # by the network, not the linear probe
    assert "| Ours (w1 = 0.6, w2 = 1) | ours | 50.0 | 40.0 |" in text
    assert "| XLNet c | ours | - |" in text


def test_a_job_that_fails_stops_no_other_and_is_one_line(make_jobs, tmp_path):
    jobs, engine = make_jobs(tmp_path), Pretender(bad="ter_bert_uncased, seed 1, fold 2")
    [line] = reproduce(jobs, engine, at_once=1)
    log = tmp_path / "ter_bert_uncased/seed_1/cv/fold_2.txt"
    assert line == f"ter_bert_uncased, seed 1, fold 2 failed: train_ad.py: the disk is full. (log: {log})"
    assert "late, seed 1, pooling" in engine.done and "speakers_of_small, seed 1, fold 2" in engine.done
    assert not [name for name in engine.done if "fusion" in name or name == "ter_bert_uncased, seed 1, pooling"]
    assert "| BERT u | ours | - |" in tables(jobs) and "| Ours (w1 = 0.6, w2 = 1) | ours | - | - |" in tables(jobs)
    mended = Pretender()
    assert reproduce(jobs, mended, at_once=1) == []
    assert mended.done == [
        "ter_bert_uncased, seed 1, fold 2",
        "ter_bert_uncased, seed 1, pooling",
        "fusion, seed 1",
    ]


def test_a_preparation_that_fails_keeps_its_folds_from_being_tried(make_jobs, tmp_path):
    engine = Pretender(bad="ser_small, seed 1, preparation")
    [line] = reproduce(make_jobs(tmp_path), engine, at_once=1)
    assert line.startswith("ser_small, seed 1, preparation failed: ")
    assert not [name for name in engine.done if name.startswith(("ser_small, seed 1, fold", "speakers_of_small"))]


def test_what_needs_a_pre_training_that_failed_or_has_no_data_is_not_run_and_says_so(make_jobs, tmp_path):
    jobs, engine = make_jobs(tmp_path / "failed"), Pretender(bad="speakers")
    lines = reproduce(jobs, engine, at_once=1)
    assert [line.partition(" (log")[0] for line in lines[:1]] == ["speakers failed: train_ad.py: the disk is full."]
    assert lines[-1] == "late was not run: it needs speakers."
    jobs, engine = make_jobs(tmp_path / "without", with_speakers=False), Pretender()
    assert reproduce(jobs, engine, at_once=1) == [
        "speakers was not run: its data must be named. Give --voxceleb DIR.",
        "late was not run: it needs speakers.",
    ]
    assert "ser_small, seed 1, pooling" in engine.done


def test_a_fusion_of_other_predictions_is_fused_again(make_jobs, tmp_path):
    jobs = make_jobs(tmp_path)
    reproduce(jobs, Pretender(), at_once=1)
    (tmp_path / "ser_small/seed_1/predictions.csv").write_text("others")
    assert "| Ours (w1 = 0.6, w2 = 1) | ours | - | - |" in tables(jobs)
    again = Pretender()
    assert reproduce(jobs, again, at_once=1) == [] and again.done == ["fusion, seed 1"]


def test_the_listing_names_every_job_as_a_command_and_how_far_it_is(make_jobs, tmp_path):
    jobs = make_jobs(tmp_path)
    lines = listing(jobs).splitlines()
    assert [line for line in lines if line.startswith("#")] == [
        "# speakers: to do",
        "# late: seed 1 to do, after speakers",
        "# ser_small: seed 1 to do",
        "# ter_bert_uncased: seed 1 to do",
        "# speakers_of_small: every fold of every seed, after ser_small; 0 done",
        "# fusion: every seed, after ser_small and ter_bert_uncased; 0 done",
    ]
    assert any(line.startswith("emorec cv IEMOCAP/train_ad.py ad_vgg5 --data_folder=") for line in lines)
    assert list(tmp_path.iterdir()) == []
    reproduce(jobs, Pretender(bad="fold 2"), at_once=1)
    assert "# ser_small: seed 1 1 of 2 folds done" in listing(jobs)
