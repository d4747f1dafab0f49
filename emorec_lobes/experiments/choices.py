"""What a hyperparameter file says, and does not say, of how its values came about: for the protocol stamp."""

from emorec_lobes.errors import ConfigError
from emorec_lobes.experiments.settings import RUNTIME_KEYS, Settings
from emorec_lobes.features.pretraining import seen_in_pretraining

# Of what a command overrides, this says what is tested and how, and is no choice between models.
_OF_THE_TASK = frozenset(
    {"seed", "corpus", "corpus_options", "selection", "labels", "num_classes", "protocol", "scheme", "num_groups"}
) | {"speaker_groups", "validation_score", "refit"}


def hyperparameters_chosen_on(settings: Settings) -> str:
    """What the file says its values were chosen on; of options beside it nobody has said anything.

    Example
    -------
    >>> from pathlib import Path
    >>> from emorec_lobes.experiments.settings import Settings
    >>> hyperparameters_chosen_on(Settings(Path("x.yaml"), "", {"lr": 0.1, "seed": 2}, {}, {}))
    'unknown (lr: unknown)'
    """
    said = str(settings.values.get("hparams_chosen_on", "unknown"))
    if "hparams_chosen_on" in settings.overrides:
        return said
    given = [key for key in sorted(settings.overrides) if key not in RUNTIME_KEYS | _OF_THE_TASK]
    return f"{said} ({', '.join(given)}: unknown)" if given else said


def pretrained_on(settings: Settings) -> str:
    """What the encoders of a recipe learnt from, as far as known."""
    encoders = [settings.values[key] for key in ("encoder", "text_encoder") if key in settings.values]
    return "; ".join(seen_in_pretraining(str(encoder)) for encoder in encoders) or "nothing"


def check_watching(settings: Settings) -> None:
    """Refuses to watch the test where two trainings would leave open which one is watched.

    Raises
    ------
    ConfigError
        If `watch_test` comes with `refit`.
    """
    if settings.values.get("watch_test") and settings["refit"]:
        raise ConfigError(
            "`watch_test` must come with refit: False, but comes with refit: True instead. Leave one out."
        )
