"""All probes of a finished fold, their record and their figures."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from emorec_lobes.evaluation.figures_probe import attention_figure, embedding_figure
from emorec_lobes.evaluation.probe_table import markdown_probes
from emorec_lobes.evaluation.projection import pca, tsne
from emorec_lobes.evaluation.report import versions
from emorec_lobes.experiments.probe import HELD_OUT_SHARE, Fit, Side, probe, split_per_speaker
from emorec_lobes.experiments.probed_run import Probed
from emorec_lobes.files import write_atomically, write_json

# More markers than this hide each other.
_SHOWN = 400


def probe_all(probed: Probed, fits: Mapping[str, Fit], seed: int, progress: bool) -> dict[str, Any]:
    """Probes every point for the speaker and for the emotion; the test utterances are asked for the emotion only.

    Arguments
    ---------
    probed : Probed
    fits : mapping
        Probe -> its `Fit`.
    seed : int
        Of the split.
    progress : bool

    Returns
    -------
    dict
        `speakers`, `num_training`, `held_out_share`, `left_out`, `seed`, and `probes`, a record each.
    """
    people = [probed.utterances[item].speaker for item in probed.trained_ids]
    training, held_out = split_per_speaker(people, np.random.default_rng(seed))
    speakers = sorted({str(people[each]) for each in training})
    emotions = _classes(probed, probed.trained_ids)
    answers = {
        "speaker": (speakers, np.array([speakers.index(name) if name in speakers else -1 for name in people])),
        "emotion": (list(probed.labels), emotions),
    }
    tasks = [(point, asked_for, name) for point in probed.trained for asked_for in answers for name in fits]
    records = []
    for point, asked_for, name in tqdm(tasks, desc="probes", delay=1, disable=not progress):
        classes, targets = answers[asked_for]
        rows = probed.trained[point]
        sides = [Side("held out", rows.of(held_out), targets[held_out])]
        if asked_for == "emotion":
            sides.append(Side("test", probed.tested[point], _classes(probed, probed.tested_ids)))
        shown = Side("training", rows.of(training), targets[training])
        found = probe(fits[name], shown, sides, classes)
        records += [{"point": point, "asked_for": asked_for, "probe": name, **each} for each in found]
    return {
        "speakers": speakers,
        "num_training": len(training),
        "held_out_share": HELD_OUT_SHARE,
        "left_out": len(people) - len(training) - len(held_out),
        "seed": seed,
        "probes": records,
    }


def stamped(found: Mapping[str, Any], folder: Path, results: Mapping[str, Any], vectors: str) -> dict[str, Any]:
    """A record that says which network was probed.

    Arguments
    ---------
    found : mapping
        What `probe_all` gives.
    folder : Path
        Of the fold.
    results : mapping
        The fold's results.json.
    vectors : str
        What the vectors are.
    """
    run = folder.resolve().parent
    name = "/".join(run.parts[-3:]) if "results" in run.parts else run.name
    return {
        "run": name,
        "fold": folder.name.removeprefix("fold_"),
        "vectors": vectors,
        **found,
        "stamp": results["stamp"],
    }


def write_probes(folder: Path, record: Mapping[str, Any], probed: Probed, progress: bool) -> str:
    """Writes probe.json, probe.md and the figures; probe.json last.

    Returns
    -------
    str
        The Markdown table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    title = f"fold {record['fold']} of {record['run']}, {record['stamp']['corpus']}"
    points = {point: rows.means() for point, rows in probed.trained.items()}
    for name, project in {"t-SNE": tsne, "PCA": pca}.items():
        path = folder / f"{name.lower().replace('-', '')}.png"
        _draw(path, name, project, points, record, probed, progress)
    if probed.attention is not None:
        seen = probed.attention
        named = f"{seen.utterance_id} ({probed.utterances[seen.utterance_id].emotion}), {title}"
        attention_figure(seen.spectrum, seen.shares, folder / "attention.png", named, seen.hop_ms)
    table = markdown_probes(record)
    write_atomically(folder / "probe.md", table)
    write_json(folder / "probe.json", {**record, "versions": versions()})
    return table


def write_networks(
    folder: Path, record: Mapping[str, Any], probed: Probed, ends: Mapping[str, np.ndarray], progress: bool
) -> None:
    """Draws what several networks end with side by side, networks.png (t-SNE) and networks_pca.png.

    Source: Xi 2022, Figure 1: pre-trained on speakers, fine-tuned on emotions, with AD.
    """
    for name, (title, project) in {"networks": ("t-SNE", tsne), "networks_pca": ("PCA", pca)}.items():
        _draw(folder / f"{name}.png", title, project, ends, record, probed, progress)


def _draw(
    path: Path,
    name: str,
    project: Callable[[np.ndarray], np.ndarray],
    vectors: Mapping[str, np.ndarray],
    record: Mapping[str, Any],
    probed: Probed,
    progress: bool,
) -> None:
    """A panel for each set of vectors, of the training utterances."""
    shown = _shown(probed, record["speakers"], record["seed"])
    title = f"{name} (numbers are speakers), fold {record['fold']} of {record['run']}, {record['stamp']['corpus']}"
    people = [probed.utterances[probed.trained_ids[each]].speaker for each in shown]
    emotions = [probed.utterances[probed.trained_ids[each]].emotion for each in shown]
    bar = tqdm(vectors.items(), desc=path.name, delay=1, disable=not progress)
    panels = {point: project(rows[shown]) for point, rows in bar}
    numbers = [record["speakers"].index(each) + 1 for each in people]
    embedding_figure(panels, emotions, numbers, probed.labels, path, title)


def _classes(probed: Probed, ids: Sequence[str]) -> np.ndarray:
    labels = list(probed.labels)
    return np.array([labels.index(probed.utterances[item].emotion) for item in ids])


def _shown(probed: Probed, speakers: Sequence[str], seed: int) -> np.ndarray:
    """Positions of the training utterances that the figures show, drawn where there are too many."""
    known = [place for place, item in enumerate(probed.trained_ids) if probed.utterances[item].speaker in speakers]
    if len(known) > _SHOWN:
        known = np.random.default_rng(seed).choice(known, _SHOWN, replace=False)
    return np.sort(known)
