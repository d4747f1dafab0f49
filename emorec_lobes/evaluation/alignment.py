"""How far the boundaries of an alignment lie from true ones."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from emorec_lobes.errors import ConfigError
from emorec_lobes.units import Seconds

_VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
_VOICELESS_STOPS, _VOICED_STOPS = ("P", "T", "K", "CH"), ("B", "D", "G", "JH")

# A closure that was marked by itself, because no stop was heard after it: it can be any of these.
_CLOSURES = {"CL": _VOICELESS_STOPS, "VCL": _VOICED_STOPS}

# TIMIT's phones, as folded to 48, that are not among the 39 of ARPAbet by another name.
_FOLDED = {"AX": "AH", "IX": "IH", "DX": "T", "EL": "L", "EN": "N", "EPI": "SIL"}

_SAME, _SIMILAR, _LEFT_OUT, _NEVER = 0.0, 1.0, 1.0, 9.0


@dataclass(frozen=True)
class Unit:
    """A phone or word in time."""

    label: str
    start_s: Seconds
    stop_s: Seconds


# (reference, heard) -> indices of what is the same unit in both
Matcher = Callable[[Sequence[str], Sequence[str]], list[tuple[int, int]]]


def timit_units(labels: Sequence[str], ends_s: Sequence[Seconds]) -> list[Unit]:
    """Phones of TIMIT's kind -> base phones as a pronouncing dictionary has them.

    `ax` is AH, `ix` IH, `dx` (a flap) T, `el` and `en` are L and N; all others keep their name. A closure (`cl`, `vcl`)
    and the stop after it are one phone, which ends where the stop ends; a closure without a stop stays as CL or VCL.
    Silences are no units.

    Arguments
    ---------
    labels : sequence of str
    ends_s : sequence of float
        Of each phone; it starts where the one before ends, the first at 0.

    Returns
    -------
    list of Unit

    Raises
    ------
    ConfigError
        If there are not as many ends as labels.

    Example
    -------
    >>> [unit.label for unit in timit_units("ae cl t dh ax sil vcl".split(), [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])]
    ['AE', 'T', 'DH', 'AH', 'VCL']
    """
    if len(labels) != len(ends_s):
        raise ConfigError(
            f"`ends_s` must be {len(labels)} times, one a label, but is {len(ends_s)} instead. Check both."
        )
    names = [_FOLDED.get(label.upper(), label.upper()) for label in labels]
    units: list[Unit] = []
    start_s = 0.0
    for name, following, stop_s in zip(names, [*names[1:], ""], ends_s, strict=True):
        if name in _CLOSURES and following in (*_VOICELESS_STOPS, *_VOICED_STOPS):
            continue  # its time goes to the stop
        if name != "SIL":
            units.append(Unit(name, start_s, stop_s))
        start_s = stop_s
    return units


def match_phones(reference: Sequence[str], heard: Sequence[str]) -> list[tuple[int, int]]:
    """Which phones are the same, where the speaker said something else than the dictionary.

    The two sequences are aligned at the least cost: a phone that stands on one side only costs 1, as does a vowel for
    another vowel or a consonant for another consonant; a vowel never stands for a consonant. A closure without a stop
    is any stop of its voicing at no cost. Of alignments that cost the same, the one that pairs the last phones wins.

    Arguments
    ---------
    reference, heard : sequence of str
        Base phones; the reference also CL and VCL.

    Returns
    -------
    list of tuple of int
        Indices into both, ascending. What is in none of the pairs could not be matched.

    Example
    -------
    >>> match_phones(["F", "ER", "M"], ["F", "R", "AH", "M"])  # "from", said "ferm"
    [(0, 0), (1, 2), (2, 3)]
    """
    costs = np.zeros((len(reference), len(heard)))
    total = _LEFT_OUT * np.add.outer(np.arange(len(reference) + 1), np.arange(len(heard) + 1))
    for row, column in np.ndindex(costs.shape):
        costs[row, column] = _cost(reference[row], heard[column])
        total[row + 1, column + 1] = min(
            total[row, column] + costs[row, column],
            total[row, column + 1] + _LEFT_OUT,
            total[row + 1, column] + _LEFT_OUT,
        )
    pairs = []
    row, column = len(reference), len(heard)
    while row and column:
        if total[row, column] == total[row - 1, column - 1] + costs[row - 1, column - 1]:
            row, column = row - 1, column - 1
            pairs.append((row, column))
        elif total[row, column] == total[row - 1, column] + _LEFT_OUT:
            row -= 1
        else:
            column -= 1
    return pairs[::-1]


def _cost(reference: str, heard: str) -> float:
    if reference == heard or heard in _CLOSURES.get(reference, ()):
        return _SAME
    is_vowel = (reference in _VOWELS, heard in _VOWELS)
    return _SIMILAR if is_vowel[0] == is_vowel[1] and reference not in _CLOSURES else _NEVER


def match_words(reference: Sequence[str], heard: Sequence[str]) -> list[tuple[int, int]]:
    """Which words are the same, where the reference has only some of an utterance's words.

    Spellings are compared in lower case, without what is no letter or apostrophe. A word that is said more often than
    the reference has it could be any of these: it is not matched.

    Arguments
    ---------
    reference, heard : sequence of str
        In the order of time.

    Returns
    -------
    list of tuple of int
        Indices into both.

    Example
    -------
    >>> match_words(["Well", "known"], ["well", "i'm", "well", "known"])
    [(1, 3)]
    """
    said, found = [_spelling(word) for word in reference], [_spelling(word) for word in heard]
    places = {word: [place for place, other in enumerate(found) if other == word] for word in said}
    return [
        (number, places[word][said[:number].count(word)])
        for number, word in enumerate(said)
        if len(places[word]) == said.count(word)
    ]


def _spelling(word: str) -> str:
    return "".join(letter for letter in word.lower() if letter.isalpha() or letter == "'")


def compare(
    utterances: Iterable[tuple[Sequence[Unit], Sequence[Unit] | None]],
    match: Matcher,
    edges: Sequence[str] = ("stop_s",),
) -> dict[str, Any]:
    """Scores alignments against references.

    Arguments
    ---------
    utterances : iterable of pairs
        The reference's units and those that were found, None where there is no alignment.
    match : callable
        `match_phones` or `match_words`.
    edges : sequence of str
        Of each matched unit: `start_s`, `stop_s` or both.

    Returns
    -------
    dict
        `utterances`, of which `unaligned`; `units` of the reference, of which `unmatched` in utterances that were
        aligned; `boundaries` compared, and of these `median_error_ms` (absolute), `within_20_ms` and `within_50_ms`
        (shares, the bound included) and `bias_ms` (median; positive: found too late), None if there are none.

    Example
    -------
    >>> true = [Unit("AE", 0.0, 0.10), Unit("T", 0.10, 0.20)]
    >>> found = [Unit("AE", 0.0, 0.11), Unit("T", 0.11, 0.26)]
    >>> scores = compare([(true, found), (true, None)], match_phones)
    >>> scores["unaligned"], scores["boundaries"], scores["median_error_ms"], scores["within_50_ms"]
    (1, 2, 35.0, 0.5)
    """
    counts = dict.fromkeys(("utterances", "unaligned", "units", "unmatched"), 0)
    errors_s: list[Seconds] = []
    for reference, found in utterances:
        counts["utterances"] += 1
        counts["units"] += len(reference)
        if found is None:
            counts["unaligned"] += 1
            continue
        pairs = match([unit.label for unit in reference], [unit.label for unit in found])
        counts["unmatched"] += len(reference) - len(pairs)
        errors_s += [getattr(found[b], edge) - getattr(reference[a], edge) for a, b in pairs for edge in edges]
    return {**counts, **_summary(np.array(errors_s))}


def _summary(errors_s: np.ndarray) -> dict[str, Any]:
    errors_ms = np.round(errors_s * 1000, 6)  # so that 50 ms is within 50 ms
    names = ("median_error_ms", "within_20_ms", "within_50_ms", "bias_ms")
    if not len(errors_ms):
        return {"boundaries": 0, **dict.fromkeys(names)}
    sizes_ms = np.abs(errors_ms)
    values = (np.median(sizes_ms), np.mean(sizes_ms <= 20), np.mean(sizes_ms <= 50), np.median(errors_ms))
    return {"boundaries": len(errors_ms), **dict(zip(names, map(float, values), strict=True))}


def p_of_random_ends(utterances: Iterable[tuple[Sequence[Seconds] | np.ndarray, Seconds]]) -> float:
    """Whether a reference could be random numbers in ascending order, as fill the place of times in some sample data.

    Of n numbers drawn evenly from the rest of an utterance, the first lies beyond a share x of it with probability
    (1 - x)^n, whatever came before. Phones have a least length and a usual one, so that theirs do not lie like that.

    Source: David and Nagaraja, Order Statistics, 2003, section 2.5 (a Markov chain); Kolmogorov-Smirnov test.

    Arguments
    ---------
    utterances : iterable of pairs
        Ends, ascending and within the utterance, and its duration.

    Returns
    -------
    float
        The probability of gaps at least as unlike random ones; near 0 for real ends.

    Example
    -------
    >>> p_of_random_ends([(np.arange(0.1, 3.0, 0.1), 3.0)]) < 1e-3
    True
    """
    ranks = []
    for ends_s, duration_s in utterances:
        starts_s = np.concatenate([[0.0], ends_s[:-1]]) if len(ends_s) else np.empty(0)
        beyond = (duration_s - np.asarray(ends_s)) / (duration_s - starts_s)
        ranks.append(beyond ** np.arange(len(ends_s), 0, -1))
    return float(stats.kstest(np.concatenate(ranks), "uniform").pvalue)
