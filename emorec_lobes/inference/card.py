"""README.md of a model folder: what the model is, how well it did on what, and what it is not for."""

from collections.abc import Mapping
from typing import Any

from emorec_lobes.evaluation.metrics import METRICS
from emorec_lobes.evaluation.protocol_words import in_words
from emorec_lobes.evaluation.report import HEADINGS, inert, piped, rounded
from emorec_lobes.inference.tasks import Task

_USE = """\
    from emorec_lobes.inference.recognizer import EmotionRecognizer
    recognizer = EmotionRecognizer.from_hparams("{source}")
    print(recognizer.predict("utterance.wav"))
"""
_LIMITS = """\
It tells how an utterance sounds or reads to people who labelled that corpus, in these classes and no others. It does
not tell what somebody feels, and it is not made to decide about anybody: not for hiring, policing, teaching, diagnosis
or credit. Other languages, spontaneous speech where the corpus was acted, other microphones and noise make it worse; by
how much has to be measured there. Confidence is calibrated, where it is, on speakers of the same corpus.
"""


def card_text(card: Mapping[str, Any], task: Task, temperature: float, source: str) -> str:
    """The card, from what a run's record says.

    Arguments
    ---------
    card : mapping
        `LoadedModel.card`.
    task : Task
    temperature : float
        1 where none was fitted.
    source : str
        Where users will load the folder from: a hub id, or its name.

    Returns
    -------
    str
        Markdown behind the YAML that the hub reads.
    """
    stamp = card["stamp"]
    corpus = str(stamp.get("corpus", "unknown"))
    calibration = (
        f"Confidence is at temperature {temperature:.3g}, fitted on the validation speakers of the same fold."
        if temperature != 1
        else "Confidence is not calibrated: there was nothing to fit a temperature on."
    )
    parts = [
        _front_matter(card, task, corpus),
        f"# Emotion recognition from {task.title}: {', '.join(card['labels'])}",
        f"One model, of fold {card['run']['fold']} of a run of `{inert(str(card['run']['recipe']))}` with "
        f"`{inert(str(card['run']['hparams']))}`, exported by emorec.",
        "## Use",
        _USE.format(source=source),
        f"`emorec predict --model {source} utterance.wav` does the same; `emorec verify` checks a copy of this folder "
        "without running anything in it.",
        "## How well it did",
        f"On the {card['num_utterances']} held-out utterances of its fold:",
        _scores(card),
        " ".join(inert(sentence) for sentence in in_words(stamp)),
        calibration,
        *_dropped(card.get("dropped_layers")),
        "## Data",
        f"Trained on {inert(corpus)}. Terms of the corpus: {inert(card['licence'])}. The model may be bound by them.",
        "## Limits",
        _LIMITS,
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def dropped_in_words(dropped: Mapping[str, Any]) -> str:
    """One line on encoder layers that an exported model does without, from what `Cut.record` says.

    Example
    -------
    >>> print(dropped_in_words({"kept": 2, "num_layers": 3, "share": 0.01, "moved": 0.002, "measured_on": "3 files"}))
    encoder layers: the lowest 2 of 3; the others' shares are 0.01 in all; largest |dp| over 3 files: 0.002
    """
    kept, share, moved = (dropped[key] for key in ("kept", "share", "moved"))
    return (
        f"encoder layers: the lowest {kept} of {dropped['num_layers']}; the others' shares are {share:.3g} in all; "
        f"largest |dp| over {dropped['measured_on']}: {moved:.2g}"
    )


def _dropped(dropped: Mapping[str, Any] | None) -> list[str]:
    if dropped is None:
        return []
    line, share = dropped_in_words(dropped), f"{dropped['share']:.3g}"
    return [
        "These are the scores of the whole model, which was cut afterwards. Used are, of its "
        f"{line}. A mixed feature differs by no more than {share} times the largest value in the layers left out."
    ]


def _front_matter(card: Mapping[str, Any], task: Task, corpus: str) -> str:
    kind = "text-classification" if task.name == "text" else "audio-classification"
    lines = ["---", "library_name: emorec", f"pipeline_tag: {kind}", "tags:"]
    lines += [f"- {tag}" for tag in ("emotion-recognition", "speechbrain", kind)]
    lines += ["metrics:", "- accuracy", "- recall", "model-index:", "- name: emorec", "  results:", "  - task:"]
    lines += [f"      type: {kind}", "    dataset:", f"      name: {_quoted(corpus)}", f"      type: {_quoted(corpus)}"]
    lines += ["    metrics:"]
    for name in METRICS:
        lines += [f"    - type: {name}", f"      value: {card[name]:.4f}"]
    return "\n".join([*lines, "---"])


def _scores(card: Mapping[str, Any]) -> str:
    rows = [["", "score"], *([HEADINGS[name], rounded(card[name])] for name in METRICS)]
    rows += [[f"recall of {label}", rounded(value)] for label, value in card["per_class_recall"].items()]
    interval = card.get("interval")
    if not interval or interval.get("low") is None:
        return piped(rows)
    band = f"{rounded(interval['low'])} to {rounded(interval['high'])}"
    return f"{piped(rows)}\n\n{HEADINGS[interval['metric']]}: {band} ({interval['level']:.0%}, {interval['method']})."


def _quoted(text: str) -> str:
    return '"' + "".join(each for each in text if each.isalnum() or each in "._- ") + '"'
