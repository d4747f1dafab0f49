"""What a recipe of attribute disentanglement needs: stored spectra, a fold's training speakers, learnt weights."""

from collections.abc import Mapping
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

from emorec_lobes.brains.base import EmotionBrain
from emorec_lobes.corpora.manifest import Utterance, with_labels
from emorec_lobes.corpora.protocol import Fold, statistics_stamp
from emorec_lobes.dataio.normalise import MODES, NONE, Normaliser, loses_own_mean
from emorec_lobes.dataio.spectrum import WINDOWS, SpectrumData
from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.experiments.fingerprint import num_processes
from emorec_lobes.experiments.folds import FoldData
from emorec_lobes.experiments.pretrained import RESEMBLYZER_WHEEL, Pretrained
from emorec_lobes.experiments.ratings import soft_features, soft_stamp, soft_targets
from emorec_lobes.experiments.settings import Settings
from emorec_lobes.experiments.speech import check_num_classes, fill_stores, wave_copies
from emorec_lobes.features.spectrum_spec import SPECTRUM, SpectrumSpec
from emorec_lobes.features.store import FeatureStore
from emorec_lobes.features.wave_copy import WaveCopy

GROUPS = ("heads", "extractor")


class ADTask:
    """Spectra in, with the speakers of the training utterances.

    Arguments
    ---------
    settings : Settings
        Of a recipe of attribute disentanglement.
    utterances : mapping
        id -> `Utterance`, may be `without_labels`. What is missing in the feature store is computed now.
    run_opts : mapping
        SpeechBrain's; `noprogressbar` hides the bar.

    Raises
    ------
    ConfigError
        If a setting cannot be used, or the pre-trained weights are for another front end or input.
    """

    def __init__(self, settings: Settings, utterances: Mapping[str, Utterance], run_opts: Any) -> None:
        check_num_classes(settings)
        for key, valid in {"eval_windows": WINDOWS, "disentanglers_with": GROUPS, "normalise": MODES}.items():
            if settings[key] not in valid:
                raise ConfigError(not_one_of(key, settings[key], valid))
        self.pretrained = pretrained_weights(settings)
        self.pretrained.load_into(settings.build()["model"].front_end.front_end)  # told now, not after the extraction
        self.utterances = utterances
        self.soft_targets = soft_targets(settings, utterances)
        self._crops_per_update = settings["batch_size"] * run_opts["grad_accumulation_factor"] * num_processes()
        self.spectra = extract_spectra(settings, utterances, run_opts)
        self.normaliser = Normaliser(self.spectra, utterances, settings["normalise"])
        self.audio_hashes = self.spectra.audio_hashes
        self.copies = [extract_spectra(settings, utterances, run_opts, copy) for copy in wave_copies(settings)]
        self.features = {SPECTRUM: self.spectra.folder.name, "pretrained": self.pretrained.fingerprint}
        self.features |= soft_features(self.soft_targets)
        self.features |= {f"{SPECTRUM}-copy{n}": store.folder.name for n, store in enumerate(self.copies, start=1)}

    def stamp(self, settings: Settings) -> dict[str, Any]:
        """What the model was given, and what its front end had learnt before."""
        return {
            **{key: settings[key] for key in ("features", "vad", "eval_windows", "ad_positions", "wave_copies")},
            "pretrained_on": self.pretrained.trained_on,
            "normalise": settings["normalise"],
            "enrolment": "none",
            **statistics_stamp(settings["normalise"] == "speaker"),
            **soft_stamp(self.soft_targets),
        }

    def overrides(self, settings: Settings, fold: Fold) -> dict[str, Any]:
        """What the training utterances of a fold decide: their speakers, and how many updates an epoch has."""
        per_epoch = settings["updates_per_validation"] or ceil(len(fold.train) / self._crops_per_update)
        return {
            "num_speakers": max(1, len(self._speakers(fold))),
            "updates_per_validation": per_epoch,
            "number_of_updates": settings["number_of_updates"] or settings["number_of_epochs"] * per_epoch,
        }

    def data(self, hparams: Mapping[str, Any], fold: Fold) -> FoldData:
        """Crops to train on, and whole utterances to evaluate; a model about to be trained gets its learnt weights."""
        self.pretrained.load_into(hparams["model"].front_end.front_end)
        data = SpectrumData(
            utterances=with_labels(self.utterances),
            labels=hparams["labels"],
            speakers=self._speakers(fold),
            spectra=self.spectra,
            normaliser=self.normaliser,
            crop_frames=hparams["crop_frames"],
            window_shift=hparams["window_shift"],
            copies=self.copies,
            soft_targets=self.soft_targets,
        )
        return FoldData(
            train=data.crops_dataset(fold.train),
            valid=data.utterances_dataset(fold.valid, hparams["eval_windows"]) if fold.valid else None,
            test=data.utterances_dataset(fold.test, hparams["eval_windows"]),
            draw_figures=_draw_nothing,
        )

    def _speakers(self, fold: Fold) -> list[str]:
        """The speakers of a fold's training utterances, sorted; unknown ones are left out."""
        return sorted({self.utterances[each].speaker for each in fold.train} - {None})


def extract_spectra(
    settings: Settings, utterances: Mapping[str, Utterance], run_opts: Any, copy: WaveCopy | None = None
) -> FeatureStore:
    """The store of a recipe's spectra, or of an augmented copy's, after what was missing in it is computed."""
    return fill_stores(settings, utterances, run_opts, replace(spectrum_spec(settings), copy=copy))[SPECTRUM]


def pretrained_weights(settings: Settings) -> Pretrained:
    """What the front end learnt before.

    Raises
    ------
    ConfigError
        If it learnt from other features.
    """
    source, spec = settings["pretrained"], spectrum_spec(settings)
    if settings["normalise"] != NONE:
        if source == RESEMBLYZER_WHEEL:
            raise ConfigError(
                f"`normalise` must be none with the weights of {source}, which learnt from features as they are, but "
                f"is {settings['normalise']} instead. Change it."
            )
        # What takes a speaker's mean away does to a front end what taking each utterance's did.
        spec = replace(spec, subtract_mean=True)
    return Pretrained(source, spec)


def spectrum_spec(settings: Settings | Mapping[str, Any]) -> SpectrumSpec:
    """What such a recipe extracts."""
    return SpectrumSpec(
        kind=settings["features"],
        num_mels=settings["num_mels"],
        window_ms=settings["window_ms"],
        hop_ms=settings["hop_ms"],
        vad=settings["vad"],
        vad_options=settings["vad_options"],
        subtract_mean=loses_own_mean(settings),
    )


def _draw_nothing(brain: EmotionBrain, figures: Path, title: str) -> None:
    """`emorec probe` draws what such a model does."""
