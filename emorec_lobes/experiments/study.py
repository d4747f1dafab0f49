"""A study of Optuna in a file: what was tried and what came out, whatever ended the process that tried it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emorec_lobes.errors import DataError, UnavailableError
from emorec_lobes.experiments.search_space import Choice, Range

if TYPE_CHECKING:
    import optuna

_FAILURE = "failure"
_FEW = 4  # finished trials, below which nothing can be said of importance


class Study:
    """Trials of a search space; at most one is tried at a time.

    A trial that never ended, because its process was killed, is none: its values are tried again under its number.

    Arguments
    ---------
    path : Path
        An SQLite file, made if it is missing.
    space : mapping
        Key -> what to try.
    seed : int
        Of what is tried: a study that was killed tries what another one would.

    Raises
    ------
    UnavailableError
        If Optuna is not installed.
    DataError
        If the file is no such study.
    """

    def __init__(self, path: Path, space: Mapping[str, Range | Choice], seed: int) -> None:
        try:
            import optuna
            from sqlalchemy.exc import DatabaseError
        except ImportError:
            raise UnavailableError("`optuna` is not installed. Run pip install 'emorec[tune]'.") from None
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna, self._space, self._seed = optuna, space, seed
        try:
            self._study = optuna.create_study(
                storage=f"sqlite:///{path.resolve()}",
                pruner=optuna.pruners.MedianPruner(),
                study_name="emorec",
                direction="maximize",
                load_if_exists=True,
            )
        except (DatabaseError, RuntimeError) as error:
            reason = str(error).partition("\n")[0]
            raise DataError(f"{path} cannot be read ({reason}). Delete its folder, or choose another one.") from None
        for dead in self._study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
            self._study.tell(dead.number, state=optuna.trial.TrialState.FAIL)
            if dead.params.keys() == space.keys():
                self._study.enqueue_trial(dead.params)

    def ended(self) -> list["optuna.trial.FrozenTrial"]:
        """Trials that are finished, were given up or have failed; a trial's number is its place here."""
        ends = (self._optuna.trial.TrialState.COMPLETE, self._optuna.trial.TrialState.PRUNED)
        return [trial for trial in self._study.trials if trial.state in ends or _FAILURE in trial.user_attrs]

    def next(self) -> "optuna.trial.Trial":
        """Begins a trial."""
        # The state of a random generator is not in the file: each trial has one of its own.
        seed = np.random.SeedSequence([self._seed, len(self.ended())]).generate_state(1)
        self._study.sampler = self._optuna.samplers.TPESampler(seed=int(seed[0]))
        return self._study.ask({key: self._distribution(tried) for key, tried in self._space.items()})

    def overrides(self, params: Mapping[str, Any]) -> dict[str, str]:
        """A trial's values as overrides."""
        return {key: tried.text(params[key]) for key, tried in self._space.items()}

    def finish(self, trial: "optuna.trial.Trial", score: float) -> None:
        """Ends a trial."""
        self._study.tell(trial, score)

    def give_up(self, trial: "optuna.trial.Trial") -> None:
        """Ends a trial that is not worth its other folds."""
        self._study.tell(trial, state=self._optuna.trial.TrialState.PRUNED)

    def fail(self, trial: "optuna.trial.Trial", reason: str) -> None:
        """Ends a trial that could not be run."""
        trial.set_user_attr(_FAILURE, reason)
        self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)

    def failure(self, trial: "optuna.trial.FrozenTrial") -> str | None:
        """Why a trial has failed."""
        return trial.user_attrs.get(_FAILURE)

    def note(self, key: str, value: Any) -> None:
        """Keeps something beside the trials."""
        self._study.set_user_attr(key, value)

    def noted(self, key: str) -> Any:
        """What was kept, else None."""
        return self._study.user_attrs.get(key)

    def importances(self) -> dict[str, float]:
        """Each key's share in how scores differ (PED-ANOVA); nothing where little is known or there is one key."""
        scores = [trial.value for trial in self.ended() if trial.state == self._optuna.trial.TrialState.COMPLETE]
        if len(scores) < _FEW or len(set(scores)) < 2 or len(self._space) < 2:
            return {}
        return self._optuna.importance.get_param_importances(self._study)

    def _distribution(self, tried: Range | Choice) -> "optuna.distributions.BaseDistribution":
        kinds = self._optuna.distributions
        if isinstance(tried, Choice):
            return kinds.CategoricalDistribution(tried.values)
        if tried.whole:
            return kinds.IntDistribution(int(tried.low), int(tried.high), log=tried.log)
        return kinds.FloatDistribution(tried.low, tried.high, log=tried.log)
