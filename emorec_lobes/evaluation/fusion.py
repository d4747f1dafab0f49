"""Score fusion: the class probabilities of several models become one, by weights that the test did not choose.

Weights are fitted fold by fold, on the fold's own `valid` rows. Those of all folds together would peek: what one
fold validates on is what another one is tested on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emorec_lobes.errors import ConfigError, ProtocolError, not_one_of
from emorec_lobes.evaluation.calibration import fit_temperature, temper
from emorec_lobes.evaluation.fusion_inputs import Aligned
from emorec_lobes.evaluation.fusion_weights import best_weights, linear_pool, log_pool, stack
from emorec_lobes.evaluation.predictions import Predictions

# Method -> what its weights were chosen on.
METHODS = {
    "stacking": "valid rows of each fold (log loss)",
    "grid": "valid rows of each fold (UAR)",
    "product": "nothing: all are 1; temperatures on valid rows of each fold (log loss)",
    "weights": "nothing: given beforehand",
    "oracle": "TEST rows of all folds (UAR): it peeked, this is an upper bound and no result",
}
DEFAULT_METHOD = "stacking"
PAPER_WEIGHTS = (0.6, 1.0)  # speech and text; Makiuchi 2021, Table 6
_FITTED = ("stacking", "grid", "product")
_POWERS = ("stacking", "product")  # their weights are exponents
_MOST_ON_GRID = 5


@dataclass(frozen=True)
class FoldFusion:
    """What one fold's probabilities were fused with."""

    fold: str
    num_valid: int  # rows that all inputs have: what was fitted, was fitted on them
    weights: tuple[float, ...]  # exponents in stacking and product
    temperatures: tuple[float, ...] | None


@dataclass(frozen=True, eq=False)
class Fused:
    """The fused answers, how each fold got them, and the inputs they were made of, calibrated if that was asked for."""

    predictions: Predictions
    folds: tuple[FoldFusion, ...]
    inputs: np.ndarray  # (M, N, K)


def fuse(
    inputs: Aligned, method: str = DEFAULT_METHOD, weights: Sequence[float] | None = None, calibrate: bool = False
) -> Fused:
    """Fuses aligned inputs, fold by fold.

    `stacking`, the default, has one number an input and fits them together: a useless input gets 0, two alike share
    what one would get, an overconfident one is damped. `grid` takes the weights of eq. 4 with the highest UAR, which on
    few rows is much a matter of luck; `product` trusts each input as far as its own temperature says. `weights` takes
    them as given, and `oracle` chooses one set for all folds on the test rows, as if that were allowed.

    Arguments
    ---------
    inputs : Aligned
        What `fusion_inputs.align` gives.
    method : str
        One of `METHODS`.
    weights : sequence of float, (M,), optional
        For `weights`: at least 0, not all 0; the paper's by default, for two inputs.
    calibrate : bool
        Give each input a temperature fitted on the fold's valid rows first; `product` always does.

    Returns
    -------
    Fused
        An utterance that an input lacks gets the others' probabilities.

    Raises
    ------
    ConfigError
        If the options do not go together.
    ProtocolError
        If something is to be fitted, and a fold has no valid rows.
    """
    given = _check_options(inputs, method, weights)
    folds = sorted(set(inputs.folds.tolist()), key=lambda fold: (len(fold), fold))
    calibrate = calibrate or method == "product"
    if calibrate or method in _FITTED:
        _check_valid(inputs, folds, "calibration" if method not in _FITTED else f"`method` {method}")
    probabilities, temperatures = _calibrated(inputs, folds) if calibrate else (inputs.probabilities, {})
    complete = inputs.present.all(axis=0)
    if method == "oracle":
        tested = complete & (inputs.splits == "test")
        given = best_weights(probabilities[:, tested], inputs.targets[tested])
    pool = log_pool if method in _POWERS else linear_pool
    fused, used = np.empty(probabilities.shape[1:]), []
    for fold in folds:
        rows = inputs.folds == fold
        valid = rows & complete & (inputs.splits == "valid")
        chosen = given
        if method in ("grid", "stacking"):
            fit = best_weights if method == "grid" else stack
            chosen = fit(probabilities[:, valid], inputs.targets[valid])
        fused[rows] = pool(probabilities[:, rows], chosen)
        used.append(FoldFusion(fold, int(valid.sum()), tuple(map(float, chosen)), temperatures.get(fold)))
    return Fused(inputs.table(fused), tuple(used), probabilities)


def _calibrated(inputs: Aligned, folds: Sequence[str]) -> tuple[np.ndarray, dict[str, tuple[float, ...]]]:
    """Every input tempered fold by fold, by all valid rows it has; and the temperatures."""
    probabilities, temperatures = inputs.probabilities.copy(), {}
    for fold in folds:
        rows = inputs.folds == fold
        valid = [rows & present & (inputs.splits == "valid") for present in inputs.present]
        fitted = [
            fit_temperature(table[own], inputs.targets[own])
            for table, own in zip(inputs.probabilities, valid, strict=True)
        ]
        for place, temperature in enumerate(fitted):
            probabilities[place, rows] = temper(probabilities[place, rows], temperature)
        temperatures[fold] = tuple(fitted)
    return probabilities, temperatures


def _check_options(inputs: Aligned, method: str, weights: Sequence[float] | None) -> np.ndarray:
    """The weights that hold without fitting: those given, the paper's, or ones."""
    num_inputs = len(inputs.names)
    if method not in METHODS:
        raise ConfigError(not_one_of("method", method, METHODS))
    if weights is not None and method != "weights":
        raise ConfigError(f"`weights` must come with the method weights, but comes with {method}. Leave one out.")
    if method in ("grid", "oracle") and num_inputs > _MOST_ON_GRID:
        raise ConfigError(
            f"`method` {method} must have at most {_MOST_ON_GRID} inputs, but has {num_inputs} instead. Use stacking."
        )
    if method != "weights":
        return np.ones(num_inputs)
    given = np.array(PAPER_WEIGHTS if weights is None else weights, dtype=np.float64)
    if len(given) != num_inputs or not (np.isfinite(given).all() and given.min() >= 0 and given.sum() > 0):
        said = " ".join(f"{weight:g}" for weight in given)
        raise ConfigError(
            f"`weights` must be {num_inputs} numbers, one an input, at least 0 and not all 0, but is {said} instead. "
            "Give as many as files."
        )
    return given


def _check_valid(inputs: Aligned, folds: Sequence[str], what: str) -> None:
    without = [fold for fold in folds if not ((inputs.folds == fold) & (inputs.splits == "valid")).any()]
    if without:
        raise ProtocolError(
            f"{what} must have `valid` rows to be fitted on in every fold, but fold {', '.join(without)} has none in "
            f"{', '.join(inputs.names)}. Run the recipes with --protocol strict, or give the weights."
        )
