"""What a speech recipe needs: features of the corpus, and the datasets of a fold."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechbrain.utils.distributed import if_main_process, infer_device, run_on_main
from torch import Tensor

from emorec_lobes.brains.base import EmotionBrain
from emorec_lobes.corpora.manifest import Utterance, emotions_of, with_labels
from emorec_lobes.corpora.protocol import Fold, statistics_stamp
from emorec_lobes.dataio.class_weights import check_class_weights, class_weights
from emorec_lobes.dataio.enrolment import MODES, Enrolment, enrol
from emorec_lobes.dataio.normalise import Normaliser
from emorec_lobes.dataio.speech import SpeechData
from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.evaluation.figures import layer_weights_figure, mel_figure
from emorec_lobes.experiments.folds import FoldData
from emorec_lobes.experiments.ratings import soft_features, soft_stamp, soft_targets
from emorec_lobes.experiments.settings import Settings
from emorec_lobes.features.extract import extract
from emorec_lobes.features.huggingface_precision import FP32
from emorec_lobes.features.mel import NUM_MELS
from emorec_lobes.features.phone_table import NUM_PHONES
from emorec_lobes.features.phones import unaligned, warn_of_unaligned
from emorec_lobes.features.speaker import DIM
from emorec_lobes.features.spec import ExtractionSpec
from emorec_lobes.features.spectrum_spec import SpectrumSpec
from emorec_lobes.features.speech import STORED_AS
from emorec_lobes.features.store import FeatureStore
from emorec_lobes.features.wave_copy import WaveCopy
from emorec_lobes.files import write_json

SEGMENT_WEIGHTS = ("equal", "frames")


class SpeechTask:
    """Encoder layers in; mel, phones and a speaker vector for the reconstruction.

    Arguments
    ---------
    settings : Settings
        Of a speech recipe.
    utterances : mapping
        id -> `Utterance`, may be `without_labels`. What is missing in the feature store is computed now.
    run_opts : mapping
        SpeechBrain's: the encoder runs on `device`, and `noprogressbar` hides the bar.

    Raises
    ------
    ConfigError
        If the classes do not fit the model, or their weights or smoothing the loss.
    """

    def __init__(self, settings: Settings, utterances: Mapping[str, Utterance], run_opts: Any) -> None:
        check_classes(settings)
        _check_sizes(settings)
        self.utterances = utterances
        self.soft_targets = soft_targets(settings, utterances)
        self.stores = extract_features(settings, utterances, run_opts, aligner=settings["aligner"])
        on_the_grid = {"aligner": settings["aligner"], "features": ("layers", "mel", "phones")}
        self.copies = [
            extract_features(settings, utterances, run_opts, **on_the_grid, copy=copy) for copy in wave_copies(settings)
        ]
        self.audio_hashes = self.stores["layers"].audio_hashes
        self.features = {name: store.folder.name for name, store in self.stores.items()}
        for number, stores in enumerate(self.copies, start=1):
            self.features |= {f"{name}-copy{number}": store.folder.name for name, store in stores.items()}
        self.features |= soft_features(self.soft_targets)
        self.unaligned = unaligned(self.stores["phones"], utterances)
        if if_main_process():
            warn_of_unaligned(self.unaligned, len(utterances))
        self.normaliser = Normaliser(self.stores["layers"], utterances, settings["normalise"])

    def stamp(self, settings: Settings) -> dict[str, Any]:
        """What the model was given of each utterance and speaker."""
        switches = settings["authors_switches"]
        by_speaker = "speaker" in (settings["normalise"], settings["enrolment"])
        counted = {} if settings["aligner"] == "none" else {"unaligned_utterances": len(self.unaligned)}
        return {
            **{key: settings[key] for key in ("encoder", "normalise", "enrolment", "aligner")},
            **counted,
            **statistics_stamp(by_speaker),
            "as_the_authors": [key for key in switches if settings[key] == switches[key]],
            **{key: settings[key] for key in ("spec_augment", "wave_copies")},
            **soft_stamp(self.soft_targets),
        }

    def overrides(self, settings: Settings, fold: Fold) -> dict[str, Any]:
        """The hyperparameters that a fold's own training utterances decide."""
        return {"class_weights": training_class_weights(settings, self.utterances, fold)}

    def data(self, hparams: Mapping[str, Any], fold: Fold) -> FoldData:
        """Crops to train on, and whole utterances to evaluate."""
        enrolment = self._enrol(hparams, fold)
        folder = Path(hparams["fold_folder"])
        if if_main_process():
            write_json(folder / "enrolment.json", enrolment.enrolled)
        data = self._speech_data(hparams, enrolment)

        def draw_figures(brain: EmotionBrain, figures: Path, title: str) -> None:
            draw_model_figures(brain, data.crops_dataset(fold.test)[0, 0.0], figures, title)

        return FoldData(
            train=data.crops_dataset(fold.train),
            valid=data.segments_dataset(fold.valid) if fold.valid else None,
            test=data.segments_dataset(fold.test),
            draw_figures=draw_figures,
        )

    def inputs(self, hparams: Mapping[str, Any], fold: Fold) -> SpeechData:
        """What the model of a fold is given of any utterance; writes nothing."""
        return self._speech_data(hparams, self._enrol(hparams, fold))

    def _speech_data(self, hparams: Mapping[str, Any], enrolment: Enrolment) -> SpeechData:
        return SpeechData(
            utterances=with_labels(self.utterances),
            labels=hparams["labels"],
            layers=self.stores["layers"],
            mel=self.stores["mel"],
            phones=self.stores["phones"],
            speaker_vectors=enrolment.vectors,
            normaliser=self.normaliser,
            crop_frames=hparams["crop_frames"],
            reaches_end=hparams["crop_reaches_end"],
            keep_single_frame_tail=hparams["keep_single_frame_tail"],
            copies=self.copies,
            soft_targets=self.soft_targets,
        )

    def _enrol(self, hparams: Mapping[str, Any], fold: Fold) -> Enrolment:
        """One draw over everything, or, as the authors, another one in each fold and split."""
        options = {
            "mode": hparams["enrolment"],
            "max_utterances": hparams["enrolment_utterances"],
            **hparams["enrolment_options"],
        }
        if not hparams["enrolment_per_split"]:
            return enrol(self.stores["speaker"], self.utterances, seed=[hparams["seed"]], **options)
        vectors: dict[str, Tensor] = {}
        enrolled: dict[str, list[str]] = {}
        splits = {"train": fold.train, "valid": fold.valid, "test": fold.test}
        for number, (split, ids) in enumerate(splits.items()):
            part = {item: self.utterances[item] for item in ids}
            drawn = enrol(self.stores["speaker"], part, seed=[hparams["seed"], int(fold.name), number], **options)
            vectors |= drawn.vectors
            enrolled |= {f"{split} {speaker}": chosen for speaker, chosen in drawn.enrolled.items()}
        return Enrolment(vectors, enrolled)


def extract_features(
    settings: Settings, utterances: Mapping[str, Utterance], run_opts: Any, **options: Any
) -> dict[str, FeatureStore]:
    """The stores of a speech recipe's features, after what was missing in them is computed.

    `options` are further ones of `ExtractionSpec`: the aligner, or which features are wanted.
    """
    spec = ExtractionSpec(
        encoder=settings["encoder"],
        num_layers=settings["num_layers"],
        encoder_dim=settings["encoder_dim"],
        padding=settings["encoder_padding"],
        dtype=settings.values.get("feature_dtype", STORED_AS[0]),
        precision=settings.values.get("encoder_precision", FP32),
        device=run_opts["device"] or infer_device(),
        **options,
    )
    return fill_stores(settings, utterances, run_opts, spec)


def fill_stores(
    settings: Settings, utterances: Mapping[str, Utterance], run_opts: Any, spec: ExtractionSpec | SpectrumSpec
) -> dict[str, FeatureStore]:
    """The stores of features made from audio, after what was missing in them is computed."""
    data_folder, root = Path(settings["data_folder"]), Path(settings["feature_folder"])
    if data_folder.is_file():  # a table, whose paths start at its own folder
        data_folder = data_folder.parent
    run_on_main(
        extract, [utterances, data_folder, root, spec, settings["extract_workers"], not run_opts["noprogressbar"]]
    )
    return spec.open(root)


def wave_copies(settings: Settings) -> list[WaveCopy]:
    """The augmented copies of each utterance that training draws from, beside the original."""
    if not settings["wave_copies"]:
        return []
    augment, made_from = settings.build()["wave_augment"], settings.description("wave_augment")
    return [WaveCopy(number, made_from, augment) for number in range(1, settings["wave_copies"] + 1)]


def check_num_classes(settings: Settings) -> None:
    """Refuses a model with another number of classes than there are, before anything is extracted."""
    if settings["num_classes"] != len(settings["labels"]):
        raise ConfigError(
            f"`num_classes` must be {len(settings['labels'])}, the number of `labels`, "
            f"but is {settings['num_classes']} instead. Set both."
        )


def check_classes(settings: Settings) -> None:
    """As `check_num_classes`; and refuses a loss that the classes do not fit."""
    check_num_classes(settings)
    check_class_weights(settings["class_weights"], settings["labels"])
    if settings["label_smoothing"] >= 1:
        raise ConfigError(f"`label_smoothing` must be below 1, but is {settings['label_smoothing']} instead. Lower it.")


def training_class_weights(settings: Settings, utterances: Mapping[str, Utterance], fold: Fold) -> list[float] | None:
    """The class weights that a fold's training utterances decide; one of several emotions counts for each."""
    labelled = with_labels(utterances)
    emotions = [emotion for item in fold.train for emotion in emotions_of(labelled[item])]
    return class_weights(settings["class_weights"], settings["labels"], emotions)


def _check_sizes(settings: Settings) -> None:
    """Refuses sizes that the features or one another do not allow, before anything is extracted."""
    for key, size in {"num_mels": NUM_MELS, "num_phones": NUM_PHONES, "speaker_dim": DIM}.items():
        if settings[key] != size:
            raise ConfigError(f"`{key}` must be {size}, as in the features, but is {settings[key]} instead. Drop it.")
    if settings["crop_frames"] % settings["frames_per_code"]:
        raise ConfigError(
            f"`crop_frames` must be a multiple of `frames_per_code` ({settings['frames_per_code']}), "
            f"but is {settings['crop_frames']} instead. Change one of them."
        )
    for key, valid in {"enrolment": MODES, "segment_weights": SEGMENT_WEIGHTS}.items():
        if settings[key] not in valid:
            raise ConfigError(not_one_of(key, settings[key], valid))


def draw_model_figures(brain: EmotionBrain, crop: dict[str, Any], figures: Path, title: str) -> None:
    """The learnt layer weights, and, where a decoder was trained, a reconstructed mel of an unseen crop."""
    model = brain.hparams.model
    draw_layer_weights(model.layer_mix, figures / "layer_weights.png", "the encoder's layers", title)
    if brain.reconstructs:
        target, estimate = brain.reconstruct(crop)
        mel_figure(target.numpy(), estimate.numpy(), figures / "mel.png", f"{crop['id']}, {title}")


def draw_layer_weights(layer_mix: Any, path: Path, of: str, title: str) -> None:
    """The learnt weights of a `LayerMix`; nothing where a single layer is not mixed."""
    if layer_mix is not None:
        layer_weights_figure(layer_mix.weights.cpu().numpy(), path, f"learnt weights of {of}\n{title}")
