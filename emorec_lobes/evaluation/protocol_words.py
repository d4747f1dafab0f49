"""A protocol stamp as sentences."""

from collections.abc import Mapping
from typing import Any

from emorec_lobes.evaluation.report import HEADINGS, peeked_mark, stamp_entries

_HELD_OUT = {
    "sessions": "a session",
    "speakers": "a speaker",
    "speaker_groups": "a group of speakers",
    "session_speakers": "a speaker, whose partner in the session validates",
    "first_session_speakers": "the first speaker of a session, whose partner validates",
    "table": "a fold that the corpus names",
    "random_shared_speakers": "a part of the utterances drawn at random, whoever speaks",
}
_INDEPENDENT = {
    True: "No tested speaker is in training or validation.",
    False: "Tested speakers are in training or validation too.",
    None: "Whether tested speakers are in training too is not known: not all speakers are.",
}
_TOLD = {
    "corpus",
    "selection",
    "protocol",
    "scheme",
    "num_folds",
    "speaker_independent",
    "test_texts_also_in_training",
    "checkpoint_chosen_on",
    "refit_on_train_and_valid",
    "speaker_statistics_over",
    "pretrained_on",
    "weights_chosen_on",
    "hyperparameters_chosen_on",
    "normalise",
    "enrolment",
    "peeked",
    "seed",
}


def in_words(stamp: Mapping[str, Any]) -> list[str]:
    """What was held out, what chose the model, and what else it saw, a sentence each.

    Example
    -------
    >>> in_words({"corpus": "emodb", "num_folds": 5, "scheme": "speakers", "speaker_independent": True,
    ...           "checkpoint_chosen_on": "validation uar"})[1:4]  # doctest: +NORMALIZE_WHITESPACE
    ['5 folds: each tests a speaker.', 'No tested speaker is in training or validation.',
     'The checkpoint was chosen by the UAR on validation, not on the test.']
    """
    sentences = [f"Corpus: {stamp.get('corpus', 'not stated')}, selection: {stamp.get('selection') or 'all of it'}."]
    sentences += _held_out(stamp) + _chosen(stamp)
    over = stamp.get("speaker_statistics_over", "not stated")
    what = "No statistic or vector of a whole speaker was used." if over == "nothing" else ""
    sentences.append(what or f"Statistics or vectors of whole speakers are over: {over}.")
    if "normalise" in stamp:
        vector = stamp.get("enrolment", "none")
        sentences.append(f"Features are normalised by: {stamp['normalise']}. A speaker vector is taken of: {vector}.")
    if "pretrained_on" in stamp:
        sentences.append(f"Before, its network or encoder was trained on: {stamp['pretrained_on'] or 'nothing'}.")
    return sentences


def remaining_entries(stamps: Mapping[int, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """What `in_words` does not tell of the stamps of several seeds, as texts; where seeds differ, each one's.

    Example
    -------
    >>> remaining_entries({1: {"vad": "none", "chosen_update": 7}, 2: {"vad": "none", "chosen_update": 9}})
    [('vad', 'none'), ('chosen update', 'seed 1: 7; seed 2: 9')]
    """
    found: dict[str, dict[int, str]] = {}
    for seed, stamp in stamps.items():
        for name, text in stamp_entries({key: value for key, value in stamp.items() if key not in _TOLD}):
            found.setdefault(name, {})[seed] = text
    return [(name, _by_seed(texts)) for name, texts in found.items()]


def _by_seed(texts: Mapping[int, str]) -> str:
    different = list(dict.fromkeys(texts.values()))
    return different[0] if len(different) == 1 else "; ".join(f"seed {seed}: {text}" for seed, text in texts.items())


def _held_out(stamp: Mapping[str, Any]) -> list[str]:
    scheme, number = stamp.get("scheme"), stamp.get("num_folds")
    if scheme == "official":
        sentences = ["The corpus's own split: train, validation and test."]
    elif scheme in _HELD_OUT:
        sentences = [f"{number} folds: each tests {_HELD_OUT[scheme]}."]
    else:
        sentences = [f"{number} folds."]
    if "speaker_independent" in stamp:
        sentences.append(_INDEPENDENT[stamp["speaker_independent"]])
    shared = stamp.get("test_texts_also_in_training")
    if shared is not None:
        sentences.append(f"The words of {shared} tested utterances are said in training or validation too.")
    return sentences


def _chosen(stamp: Mapping[str, Any]) -> list[str]:
    sentences, chosen_on = [], stamp.get("checkpoint_chosen_on")
    score = str(chosen_on).removeprefix("validation ")
    if stamp.get("peeked") is True:
        sentences.append("ORACLE: something was chosen on the test. This is an upper bound, not a result.")
    elif stamp.get("peeked"):
        sentences.append(f"{peeked_mark(stamp)}: this shows what a bad habit adds, and is not a result.")
    elif score in HEADINGS:
        sentences.append(f"The checkpoint was chosen by the {HEADINGS[score]} on validation, not on the test.")
    elif chosen_on is not None:
        sentences.append(f"The checkpoint was not chosen by a score: {chosen_on}.")
    if "weights_chosen_on" in stamp:
        sentences.append(f"The weights of the fusion were chosen on: {stamp['weights_chosen_on']}.")
    if "hyperparameters_chosen_on" in stamp:
        sentences.append(f"The hyper-parameters were chosen on: {stamp['hyperparameters_chosen_on']}.")
    if stamp.get("refit_on_train_and_valid"):
        sentences.append("Then training and validation speakers trained it together, for as many updates.")
    return sentences
