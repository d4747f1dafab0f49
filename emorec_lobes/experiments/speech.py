"""What a speech recipe needs: features of the corpus, and the datasets of a fold."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechbrain.utils.distributed import if_main_process, infer_device, run_on_main
from torch import Tensor

from emorec_lobes.brains.base import EmotionBrain
from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.corpora.protocol import Fold
from emorec_lobes.dataio.enrolment import MODES, Enrolment, enrol
from emorec_lobes.dataio.normalise import Normaliser
from emorec_lobes.dataio.speech import SpeechData
from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.evaluation.figures import layer_weights_figure, mel_figure
from emorec_lobes.experiments.folds import FoldData
from emorec_lobes.experiments.settings import Settings
from emorec_lobes.features.extract import extract
from emorec_lobes.features.mel import NUM_MELS
from emorec_lobes.features.phone_table import NUM_PHONES
from emorec_lobes.features.speaker import DIM
from emorec_lobes.features.spec import ExtractionSpec
from emorec_lobes.files import write_json


class SpeechTask:
    """Encoder layers in; mel, phones and a speaker vector for the reconstruction.

    Arguments
    ---------
    settings : Settings
        Of a speech recipe.
    utterances : mapping
        id -> `Utterance`. What is missing in the feature store is computed now.
    run_opts : mapping
        SpeechBrain's: the encoder runs on `device`, and `noprogressbar` hides the bar.

    Raises
    ------
    ConfigError
        If the classes do not fit the model.
    """

    def __init__(self, settings: Settings, utterances: Mapping[str, Utterance], run_opts: Any) -> None:
        if settings["num_classes"] != len(settings["labels"]):
            raise ConfigError(
                f"`num_classes` must be {len(settings['labels'])}, the number of `labels`, "
                f"but is {settings['num_classes']} instead. Set both."
            )
        _check_sizes(settings)
        self.utterances = utterances
        spec = ExtractionSpec(
            encoder=settings["encoder"],
            num_layers=settings["num_layers"],
            encoder_dim=settings["encoder_dim"],
            padding=settings["encoder_padding"],
            aligner=settings["aligner"],
            device=run_opts["device"] or infer_device(),
        )
        data_folder, root = Path(settings["data_folder"]), Path(settings["feature_folder"])
        if data_folder.is_file():  # a table, whose paths start at its own folder
            data_folder = data_folder.parent
        run_on_main(
            extract, [utterances, data_folder, root, spec, settings["extract_workers"], not run_opts["noprogressbar"]]
        )
        self.stores = spec.open(root)
        self.audio_hashes = self.stores["layers"].audio_hashes
        self.features = {name: store.folder.name for name, store in self.stores.items()}
        self.normaliser = Normaliser(self.stores["layers"], utterances, settings["normalise"])

    def stamp(self, settings: Settings) -> dict[str, Any]:
        """What the model was given of each utterance and speaker."""
        switches = settings["authors_switches"]
        by_speaker = "speaker" in (settings["normalise"], settings["enrolment"])
        return {
            **{key: settings[key] for key in ("encoder", "normalise", "enrolment", "aligner")},
            "unlabelled_audio_of_the_test_speaker": "used" if by_speaker else "not used",
            "as_the_authors": [key for key in switches if settings[key] == switches[key]],
        }

    def data(self, hparams: Mapping[str, Any], fold: Fold) -> FoldData:
        """Crops to train on, and whole utterances to evaluate."""
        splits = {"train": fold.train, "valid": fold.valid, "test": fold.test}
        enrolment = self._enrol(hparams, fold, splits)
        folder = Path(hparams["fold_folder"])
        if if_main_process():
            write_json(folder / "enrolment.json", enrolment.enrolled)
        data = SpeechData(
            utterances=self.utterances,
            labels=hparams["labels"],
            layers=self.stores["layers"],
            mel=self.stores["mel"],
            phones=self.stores["phones"],
            speaker_vectors=enrolment.vectors,
            normaliser=self.normaliser,
            crop_frames=hparams["crop_frames"],
            reaches_end=hparams["crop_reaches_end"],
            keep_single_frame_tail=hparams["keep_single_frame_tail"],
        )

        def draw_figures(brain: EmotionBrain, figures: Path, title: str) -> None:
            draw_model_figures(brain, data.crops_dataset(fold.test)[0, 0.0], figures, title)

        return FoldData(
            train=data.crops_dataset(fold.train),
            valid=data.segments_dataset(fold.valid) if fold.valid else None,
            test=data.segments_dataset(fold.test),
            draw_figures=draw_figures,
        )

    def _enrol(self, hparams: Mapping[str, Any], fold: Fold, splits: Mapping[str, tuple[str, ...]]) -> Enrolment:
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
        for number, (split, ids) in enumerate(splits.items()):
            part = {item: self.utterances[item] for item in ids}
            drawn = enrol(self.stores["speaker"], part, seed=[hparams["seed"], int(fold.name), number], **options)
            vectors |= drawn.vectors
            enrolled |= {f"{split} {speaker}": chosen for speaker, chosen in drawn.enrolled.items()}
        return Enrolment(vectors, enrolled)


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
    if settings["enrolment"] not in MODES:
        raise ConfigError(not_one_of("enrolment", settings["enrolment"], MODES))


def draw_model_figures(brain: EmotionBrain, crop: dict[str, Any], figures: Path, title: str) -> None:
    """The learnt layer weights, and a reconstructed mel of an unseen crop beside its target."""
    model = brain.hparams.model
    if model.layer_mix is not None:
        weights = model.layer_mix.weights.cpu().numpy()
        layer_weights_figure(weights, figures / "layer_weights.png", f"learnt weights of the encoder's layers\n{title}")
    if model.decoder is not None:
        target, estimate = brain.reconstruct(crop)
        mel_figure(target.numpy(), estimate.numpy(), figures / "mel.png", f"{crop['id']}, {title}")
