"""The references every text model stands beside: logistic regression on TF-IDF, and on the mean of token features."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import StandardScaler

from emorec_lobes.corpora.manifest import END_OF_CONTEXT, Utterance, emotions_of
from emorec_lobes.corpora.protocol import Fold, statistics_stamp
from emorec_lobes.dataio.class_weights import class_weights
from emorec_lobes.dataio.context import check_dialogs, with_context
from emorec_lobes.errors import ConfigError
from emorec_lobes.experiments.best_c import Classifier, answer_with_best_c, check_linear, choice_stamp
from emorec_lobes.experiments.folds import FoldAnswers
from emorec_lobes.experiments.logistic import Examples, fit_logistic, logistic_probabilities
from emorec_lobes.experiments.settings import Settings
from emorec_lobes.experiments.text import hashes_with_ids, token_store
from emorec_lobes.features.spec import TOKENS
from emorec_lobes.features.text_brackets import check_brackets, check_transcript, replace_brackets

TFIDF = "tfidf"

# Ids -> their features, (N, D): an array, or a sparse matrix.
Rows = Callable[[Sequence[str]], Any]


class WordFrequencies:
    """Words and runs of words in a transcript, weighed by how rare they are in training.

    Arguments
    ---------
    settings : Settings
        Of a text reference.
    utterances : mapping
        id -> `Utterance`, may be `without_labels`.
    run_opts : mapping
        SpeechBrain's; nothing in it matters here.

    Raises
    ------
    ConfigError
        If a setting cannot mean anything here.
    DataError
        If an utterance has no transcript, or no dialogue where context is asked for.
    """

    def __init__(self, settings: Settings, utterances: Mapping[str, Utterance], run_opts: Any) -> None:
        check_linear(settings)
        check_brackets(settings["brackets"])
        _vectoriser(settings)
        self.settings = settings
        self.features: dict[str, str] = {}
        num_turns = settings["context_turns"]
        for key, item in utterances.items():
            check_transcript(item.text, key)
        items = with_context(utterances, num_turns) if num_turns else utterances
        plain = {key: item.text.replace(END_OF_CONTEXT, " ") for key, item in items.items()}
        self._texts = {key: replace_brackets(text, settings["brackets"]) for key, text in plain.items()}
        hashes = {key: hashlib.sha256(text.encode()).hexdigest() for key, text in self._texts.items()}
        self.audio_hashes = hashes_with_ids(hashes)

    def fitted_on(self, ids: Sequence[str]) -> Rows:
        """What turns utterances into features, its words and their rarity being those of `ids` alone."""
        vectoriser = _vectoriser(self.settings)
        try:
            vectoriser.fit(self._texts[item] for item in ids)
        except ValueError as error:  # nothing is left
            raise ConfigError(
                "`min_df` and `token_pattern` must leave a word of the training transcripts, but leave none "
                f"({str(error).rstrip('.')}). Lower --min_df, or use another pattern."
            ) from None
        return lambda others: vectoriser.transform(self._texts[item] for item in others)

    def stamp(self, settings: Settings) -> dict[str, Any]:
        """What the regression was given of each utterance."""
        return _stamp(settings, "TF-IDF of words", {})


class MeanTokens:
    """The mean over the tokens of a transcript, in each layer of an encoder, standardised on the training rows.

    Arguments
    ---------
    settings : Settings
        Of a text reference.
    utterances : mapping
        id -> `Utterance`, may be `without_labels`. Tokens missing in the feature store are computed now.
    run_opts : mapping
        SpeechBrain's: the encoder runs on `device`, and `noprogressbar` hides the bar.

    Raises
    ------
    ConfigError
        If a setting cannot mean anything here.
    """

    def __init__(self, settings: Settings, utterances: Mapping[str, Utterance], run_opts: Any) -> None:
        check_linear(settings)
        tokens, self.truncated = token_store(settings, utterances, run_opts)
        self.features = {TOKENS: tokens.folder.name}
        self.audio_hashes = hashes_with_ids(tokens.audio_hashes)
        self._means = {key: tokens.statistics(key)[0].flatten().double().numpy() for key in utterances}

    def fitted_on(self, ids: Sequence[str]) -> Rows:
        """What turns utterances into features, whose mean over `ids` is 0 and whose deviation is 1."""
        scaler = StandardScaler().fit(self._stacked(ids))
        return lambda others: scaler.transform(self._stacked(others))

    def stamp(self, settings: Settings) -> dict[str, Any]:
        """What the regression was given of each utterance."""
        counted = {"max_tokens": settings["max_tokens"], "truncated_utterances": len(self.truncated)}
        return _stamp(settings, "the mean of the tokens", counted)

    def _stacked(self, ids: Sequence[str]) -> np.ndarray:
        return np.stack([self._means[item] for item in ids])


def text_features(
    settings: Settings, utterances: Mapping[str, Utterance], run_opts: Any
) -> WordFrequencies | MeanTokens:
    """The features of a text reference: `encoder` is `tfidf`, or one that reads text."""
    kind = WordFrequencies if settings["encoder"] == TFIDF else MeanTokens
    return kind(settings, utterances, run_opts)


def logistic_trainer(
    task: WordFrequencies | MeanTokens, settings: Settings, utterances: Mapping[str, Utterance], ids: Sequence[str]
) -> Callable[[float], Classifier]:
    """What fits a logistic regression on utterances, given C; a `Trainer`.

    An utterance of several emotions is an example of each, which counts as much less: what a model trained on draws
    sees of it on average.
    """
    labels = list(settings["labels"])
    rows = task.fitted_on(ids)
    pairs = [(item, emotion) for item in ids for emotion in emotions_of(utterances[item])]
    weights = class_weights(settings["class_weights"], labels, [emotion for _, emotion in pairs])
    examples = Examples(
        features=rows([item for item, _ in pairs]),
        targets=np.array([labels.index(emotion) for _, emotion in pairs]),
        shares=np.array([1 / len(emotions_of(utterances[item])) for item, _ in pairs]),
    )

    def fit(c: float) -> Classifier:
        model = fit_logistic(examples, c, settings["tolerance"], settings["max_iterations"], weights)
        return lambda others: logistic_probabilities(model, rows(others), len(labels))

    return fit


def answer_with_logistic(
    task: WordFrequencies | MeanTokens,
    settings: Settings,
    run_opts: Any,
    fold: Fold,
    utterances: Mapping[str, Utterance],
    folder: Path,
) -> FoldAnswers:
    """`answer_with_best_c` by logistic regression, after a look at whether context crosses the fold."""
    if settings["context_turns"]:
        check_dialogs(fold.sides, utterances)
    return answer_with_best_c(logistic_trainer, task, settings, run_opts, fold, utterances, folder)


def _vectoriser(settings: Settings) -> TfidfVectorizer:
    """The vectoriser that the settings ask for, not fitted."""
    sizes, pattern = settings["ngram_range"], settings["token_pattern"]
    if len(sizes) != 2 or not all(isinstance(each, int) for each in sizes) or not 1 <= sizes[0] <= sizes[1]:
        raise ConfigError(
            f"`ngram_range` must be the fewest and the most words of a run, but is {list(sizes)} instead. Use [1, 2]."
        )
    try:
        num_groups = re.compile(pattern).groups
    except re.error as error:
        raise ConfigError(f"`token_pattern` must be a regular expression, but is {pattern!r} ({error}).") from None
    if num_groups > 1:
        raise ConfigError(f"`token_pattern` must have one group at most, but has {num_groups} instead. Use (?:...).")
    return TfidfVectorizer(
        ngram_range=tuple(sizes),
        token_pattern=pattern,
        min_df=settings["min_df"],
        sublinear_tf=settings["sublinear_tf"],
        lowercase=settings["lowercase"],
    )


def _stamp(settings: Settings, features: str, counted: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a trained text model's stamp, and what a regression adds to them."""
    return {
        **{key: settings[key] for key in ("encoder", "brackets", "context_turns")},
        **counted,
        **dict.fromkeys(("normalise", "enrolment", "aligner"), "none"),
        **statistics_stamp(False),
        "as_the_authors": [],
        "classifier": f"multinomial logistic regression on {features}",
        "probabilities": "the regression's own, not calibrated further",
        **choice_stamp(settings),
    }
