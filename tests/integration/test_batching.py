"""An utterance's probabilities are its own: alone or in a batch, beside silence, however the work is divided.

Every speech hyperparameter file goes the whole way, from wav files through extraction to `SERBrain` and
`EmotionRecognizer`. Sizes are small and weights are random, but spread, so that a wrong frame shows. The
reference is a loop that takes one segment at a time and knows of no batch and of no relative length.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import speechbrain as sb
import torch
from safetensors.torch import save_file
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.dataloader import make_dataloader
from speechbrain.dataio.dataset import DynamicItemDataset

from emorec_lobes.brains.ser import SERBrain
from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.corpora.protocol import Fold
from emorec_lobes.errors import DataError
from emorec_lobes.experiments.settings import read_settings
from emorec_lobes.experiments.speech import SpeechTask
from emorec_lobes.experiments.training import evaluation_loader, start_folder
from emorec_lobes.features.audio import load_audio
from emorec_lobes.features.extract import extract
from emorec_lobes.features.speaker import SpeakerEmbedding
from emorec_lobes.features.spec import ExtractionSpec
from emorec_lobes.features.speech import MelEncoder, load_encoder
from emorec_lobes.files import write_json
from emorec_lobes.inference.recognizer import EmotionRecognizer

HPARAMS = Path(__file__).parents[2] / "hparams"
TOLERANCE = 1e-5

# id -> frames: 0.3 s, whole segments of 96 or 192 frames, one frame more, 5 s.
FRAMES = {"short": 16, "whole": 96, "one_more": 97, "two": 192, "two_and_one": 193, "long": 251}
LENGTHS = {"short": 4_800, "long": 80_000}  # id -> samples
LENGTHS |= {"whole": 95 * 320 + 7, "one_more": 96 * 320, "two": 192 * 320 - 1, "two_and_one": 192 * 320 + 319}
# Frames of a segment -> id -> frames in each of its segments.
SEGMENTS = {
    96: {"short": [16], "whole": [96], "one_more": [96, 1], "two": [96, 96], "two_and_one": [96, 96, 1],
         "long": [96, 96, 59]},
    192: {"short": [16], "whole": [96], "one_more": [97], "two": [192], "two_and_one": [192, 1], "long": [192, 59]},
}  # fmt: skip
SILENCE = 30_000  # samples after those whose name ends so
SILENT = ("short_silence", "whole_silence", "two_and_one_silence")

# Case -> hyperparameter file, encoder that stands in for one of the hub, and overrides.
CASES = {path.stem: (path.name, "large", {}) for path in sorted(HPARAMS.glob("ser_*.yaml"))}
CASES |= {
    "group_norm": ("ser_small.yaml", "base", {}),
    "whisper": ("ser_small.yaml", "whisper", {"num_layers": 5}),
    "authors": ("ser_small.yaml", "large", {"authors": True, "enrolment_per_split": False}),
    "normalised": ("ser_small.yaml", "large", {"normalise": "utterance"}),
}


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    """Architecture -> folder of a small encoder with random weights; 25 hidden states where the hub's has them."""
    import transformers

    wave = {"hidden_size": 16, "num_hidden_layers": 24, "num_attention_heads": 2, "intermediate_size": 32}
    wave |= {"conv_dim": (16,) * 7, "num_conv_pos_embedding_groups": 2}
    whisper = {"d_model": 16, "encoder_layers": 4, "encoder_attention_heads": 2, "encoder_ffn_dim": 32}
    whisper |= {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 32, "vocab_size": 20}
    whisper |= dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 0)
    large = transformers.Wav2Vec2Config(**wave, conv_bias=True, do_stable_layer_norm=True, feat_extract_norm="layer")
    base = transformers.Wav2Vec2Config(**wave)
    models = {
        "large": lambda: transformers.Wav2Vec2Model(large),
        "base": lambda: transformers.Wav2Vec2Model(base),
        "whisper": lambda: transformers.WhisperModel(transformers.WhisperConfig(**whisper)),
    }
    folder = tmp_path_factory.mktemp("encoders")
    with torch.random.fork_rng():
        for name, make in models.items():
            torch.manual_seed(0)
            make().save_pretrained(folder / name)
    return {name: folder / name for name in models}


def voice(num_samples, seed):
    """A harmonic tone whose loudness swings, in a little noise: every id sounds different."""
    generator = np.random.default_rng(seed)
    times = np.arange(num_samples) / 16_000
    pitch_hz, beat_hz = generator.uniform(90, 300), generator.uniform(2, 8)
    tone = sum(np.sin(2 * np.pi * pitch_hz * harmonic * times) / harmonic for harmonic in range(1, 8))
    return 0.1 * tone * (1 + np.sin(2 * np.pi * beat_hz * times)) + 0.01 * generator.standard_normal(num_samples)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Folder, utterances, each of a speaker of its own, some with silence after them, and their speaker vectors."""
    folder = tmp_path_factory.mktemp("corpus")
    utterances = {}
    for number, (name, num_samples) in enumerate(LENGTHS.items()):
        wave = voice(num_samples, seed=number)
        for item, samples in {name: wave, f"{name}_silence": np.append(wave, np.zeros(SILENCE))}.items():
            if item not in (*LENGTHS, *SILENT):
                continue
            soundfile.write(folder / f"{item}.wav", samples, 16_000)
            emotion = ("angry", "neutral", "happy", "sad")[number % 4]
            wav, duration_s = f"{{data_root}}/{item}.wav", len(samples) / 16_000
            utterances[item] = Utterance(item, wav, duration_s, emotion, emotion, speaker=item)
    embed = SpeakerEmbedding()
    return folder, utterances, {item: embed(load_audio(folder / f"{item}.wav")) for item in LENGTHS}


@dataclass(frozen=True)
class System:
    """A trained fold, as far as evaluation and inference can tell, and what the slow loop says."""

    folder: Path
    waves: Path
    hparams: dict
    brain: SERBrain
    dataset: DynamicItemDataset
    frames: dict  # id -> encoder layers (T, L, D), as half precision holds them
    speakers: dict  # id -> speaker vector (1, E)
    reference: dict  # id -> probabilities (K,)


@pytest.fixture(scope="module", params=CASES)
def system(request, encoders, corpus, tmp_path_factory):
    return build(request.param, encoders, corpus, tmp_path_factory.mktemp(request.param))


def build(case, encoders, corpus, folder):
    """Extracts, makes the model of a case, and writes the fold folder that inference reads."""
    file, encoder, changes = CASES[case]
    corpus_folder, utterances, speakers = corpus
    path = HPARAMS / file
    settings = read_settings(path, sizes(path, encoders[encoder]) | places(corpus_folder, folder) | changes)
    task = SpeechTask(settings, utterances, {"device": "cpu", "noprogressbar": True})
    hparams = settings.build(fold="1", fold_folder=str(folder / "fold_1"))
    start_folder(folder / "fold_1", settings.resolved(fold="1", fold_folder=str(folder / "fold_1")))
    dataset = task.data(hparams, Fold("1", train=tuple(utterances), valid=(), test=tuple(utterances))).test
    model = spread(hparams["model"], PaddedBatch([dataset[index] for index in range(len(dataset))]))
    save_file({f"model.{key}": value for key, value in model.state_dict().items()}, folder / "fold_1/model.safetensors")
    write_json(folder / "fold_1/results.json", {})
    brain = SERBrain(modules=hparams["modules"], hparams=hparams, run_opts={"device": "cpu"})
    waves = {item: load_audio(corpus_folder / f"{item}.wav") for item in LENGTHS}
    frames = frames_by_hand(hparams, waves)
    reference = {item: by_hand(hparams, frames[item], speakers[item]) for item in LENGTHS}
    return System(folder / "fold_1", corpus_folder, hparams, brain, dataset, frames, speakers, reference)


def sizes(path, encoder):
    """What makes a hyperparameter file small; only an encoder of the hub is replaced."""
    small = {"conv_channels": 16, "decoder_channels": 16, "phone_dim": 8, "aligner": "none", "num_workers": 0}
    published = read_settings(path, {"data_folder": "corpus"})["encoder"]
    return small | ({"encoder": str(encoder), "encoder_dim": 16} if "/" in published else {})


def places(corpus_folder, folder):
    """Where things lie."""
    folders = {"data_folder": corpus_folder, "feature_folder": folder / "features", "output_folder": folder}
    return {"corpus": "table", **{key: str(value) for key, value in folders.items()}}


def spread(model, batch):
    """Gives batch norm the statistics of real frames, and the classes logits of unit deviation."""
    real = batch.num_valid.data > 0
    owner = real.nonzero()[:, 0]
    inputs = {"layers": batch.layers.data[real], "speaker": batch.speaker_vector.data[owner]}
    inputs["num_valid"] = batch.num_valid.data[real]
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.momentum = 1.0  # the statistics of this one batch
    last = model.classifier.layers[-1]
    with torch.no_grad():
        model.train()(**inputs)
        std, mean = torch.std_mean(model.eval()(**inputs).logits, dim=0)
        last.weight.div_(std.unsqueeze(-1))
        last.bias.sub_(mean).div_(std)
    return model


def frames_by_hand(hparams, waves):
    """Encoder layers of each wave, in the precision of the store."""
    encoder = load_encoder(*(hparams[key] for key in ("encoder", "num_layers", "encoder_dim", "encoder_padding")))
    largest = np.finfo(np.float16).max
    layers = {item: encoder.layers(wave).numpy().clip(-largest, largest) for item, wave in waves.items()}
    return {item: values.astype(np.float16).astype(np.float64) for item, values in layers.items()}


def by_hand(hparams, frames, speaker):
    """Probabilities (K,): one segment after another, zeros to its end, plain softmax, mean or mean by frames."""
    if hparams["normalise"] == "utterance":
        frames = (frames - frames.mean(axis=0)) / np.maximum(frames.std(axis=0), 1e-3)
    speaker = speaker * (hparams["enrolment"] != "none")
    rows, counts = [], []
    size = hparams["crop_frames"]
    for start in range(0, len(frames), size):
        part = frames[start : start + size]
        if len(part) == 1 and start and not hparams["keep_single_frame_tail"]:
            continue
        segment = np.zeros((1, size, *frames.shape[1:]), dtype=np.float32)
        segment[0, : len(part)] = part
        with torch.no_grad():
            output = hparams["model"](torch.from_numpy(segment), speaker, num_valid=torch.tensor([len(part)]))
        logits = output.logits[0].double().numpy()
        rows.append(np.exp(logits) / np.exp(logits).sum())
        counts.append(len(part))
    return np.average(rows, axis=0, weights=counts if hparams["segment_weights"] == "frames" else None)


def evaluate(system, ids, batch_size=None):
    """id -> probabilities, by the Brain, in batches of these utterances in this order."""
    order = [system.dataset.data_ids.index(item) for item in ids]
    loader = make_dataloader(system.dataset, sampler=order, batch_size=batch_size or len(ids))
    system.brain.evaluate(loader, progressbar=False)
    return system.brain.predictions


def farthest(found, expected):
    """The largest difference of any probability of any expected utterance; NaN if one is NaN."""
    return float(np.max([np.abs(found[item] - expected[item]) for item in expected]))


def items(system, ids):
    """Evaluation items of the dataset."""
    return [system.dataset[system.dataset.data_ids.index(item)] for item in ids]


# ------------------------------------------------------------------------------------------ the test can fail


def test_the_lengths_are_what_their_names_say(system):
    assert {item: len(frames) for item, frames in system.frames.items()} == FRAMES
    counts = {item["id"]: item["num_valid"].tolist() for item in items(system, LENGTHS)}
    expected = {item: list(parts) for item, parts in SEGMENTS[system.hparams["crop_frames"]].items()}
    if not system.hparams["keep_single_frame_tail"]:
        expected = {item: parts[:-1] if parts[-1] == 1 else parts for item, parts in expected.items()}
    assert counts == expected


def test_other_utterances_and_other_frames_have_other_answers(system):
    """Else equal answers would prove nothing."""
    answers = np.stack(list(system.reference.values()))
    apart = np.abs(answers[:, None] - answers).max(axis=-1)[~np.eye(len(answers), dtype=bool)]
    assert apart.min() > 1_000 * TOLERANCE
    for item, frames in system.frames.items():
        late = by_hand(system.hparams, frames[1:], system.speakers[item])
        assert np.abs(late - system.reference[item]).max() > 10 * TOLERANCE


# ------------------------------------------------------------------------------------------ evaluation


def test_an_utterance_alone_gives_what_the_slow_loop_gives(system):
    found = {item: evaluate(system, [item])[item] for item in LENGTHS}
    assert farthest(found, system.reference) <= TOLERANCE


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_utterance_in_a_batch_in_any_order_gives_the_same(system, seed):
    order = np.random.default_rng(seed).permutation(list(LENGTHS)).tolist()
    assert farthest(evaluate(system, order), system.reference) <= TOLERANCE


def test_the_recipes_own_loader_gives_the_same(system):
    system.brain.evaluate(evaluation_loader(system.dataset, system.hparams), progressbar=False)
    assert farthest(system.brain.predictions, system.reference) <= TOLERANCE


@pytest.mark.parametrize("place", ["first", "last"])
def test_neighbours_with_silence_after_them_change_nothing(system, place):
    for item in LENGTHS:
        neighbours = [other for other in SILENT if not other.startswith(item)]
        found = evaluate(system, [item, *neighbours] if place == "first" else [*neighbours, item])
        assert farthest(found, {item: system.reference[item]}) <= TOLERANCE


@pytest.mark.parametrize("filling", ["zeros", "noise"])
def test_what_a_batch_is_padded_with_changes_nothing(system, filling):
    batch = PaddedBatch(items(system, LENGTHS))
    layers, counts = (
        torch.nn.functional.pad(part.data, (0, 0) * (part.data.dim() - 2) + (0, 2))  # two more segments
        for part in (batch.layers, batch.num_valid)
    )
    if filling == "noise":
        is_real = torch.arange(layers.shape[2]) < counts.unsqueeze(-1)  # (B, N, T)
        noise = 10 * torch.randn(layers.shape, generator=torch.Generator().manual_seed(0))
        layers = torch.where(is_real[..., None, None], layers.float(), noise)
    batch.layers, batch.num_valid = batch.layers._replace(data=layers), batch.num_valid._replace(data=counts)

    with torch.no_grad():
        found = system.brain.compute_forward(batch, sb.Stage.TEST).exp().numpy()

    assert farthest(dict(zip(batch.id, found, strict=True)), system.reference) <= TOLERANCE


@pytest.mark.parametrize(("segments_per_forward", "batch_size"), [(1, 5), (2, 2), (3, 4), (64, 1), (5, 9)])
def test_how_the_segments_are_divided_changes_nothing(system, monkeypatch, segments_per_forward, batch_size):
    monkeypatch.setattr(system.brain.hparams, "segments_per_forward", segments_per_forward)
    assert farthest(evaluate(system, [*SILENT, *LENGTHS], batch_size), system.reference) <= TOLERANCE


# ------------------------------------------------------------------------------------------ inference


def test_the_recognizer_gives_the_same_whatever_it_heard_before(system, monkeypatch):
    monkeypatch.setattr("emorec_lobes.inference.speech._SEGMENTS", 2)
    recognizer = EmotionRecognizer.from_hparams(system.folder)
    recognizer.predict(system.waves / "whole_silence.wav")
    for item in (*LENGTHS, "one_more", "short"):
        answer = recognizer.predict(system.waves / f"{item}.wav").probabilities
        assert farthest({item: np.array(list(answer.values()))}, {item: system.reference[item]}) <= TOLERANCE


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_the_recognizer_gives_the_same_whatever_stands_beside(system, batch_size):
    recognizer = EmotionRecognizer.from_hparams(system.folder, batch_size=batch_size)
    order = np.random.default_rng(batch_size).permutation([*LENGTHS, *SILENT]).tolist()
    answers = recognizer.predict([system.waves / f"{item}.wav" for item in order])
    found = {item: np.array(list(answer.probabilities.values())) for item, answer in zip(order, answers, strict=True)}
    assert farthest(found, system.reference) <= TOLERANCE


@pytest.mark.parametrize(
    ("case", "change"),
    [
        ("ser_mel", lambda layers: 1e5 * layers),  # beyond the range of half precision
        ("utterance", lambda layers: 700 + layers),  # rounded to steps of 0.5: features that hardly ever move
    ],
)
def test_the_recognizer_rounds_layers_as_the_store_does(encoders, corpus, tmp_path, monkeypatch, case, change):
    monkeypatch.setitem(CASES, "utterance", ("ser_mel.yaml", "large", {"normalise": "utterance"}))
    real = MelEncoder.layers
    monkeypatch.setattr(MelEncoder, "layers", lambda encoder, wave: change(real(encoder, wave)))
    system = build(case, encoders, corpus, tmp_path)
    recognizer = EmotionRecognizer.from_hparams(system.folder)  # at its own number of segments
    answers = {item: recognizer.predict(system.waves / f"{item}.wav").probabilities for item in LENGTHS}
    found = {item: np.array(list(answer.values())) for item, answer in answers.items()}
    assert farthest(found, evaluate(system, list(LENGTHS))) <= TOLERANCE


def test_layers_that_are_not_finite_are_refused_and_never_a_class(encoders, corpus, tmp_path, monkeypatch):
    system = build("ser_mel", encoders, corpus, tmp_path)
    for value in (np.nan, np.inf, -np.inf):
        monkeypatch.setattr(MelEncoder, "layers", lambda encoder, wave, value=value: torch.full((97, 1, 80), value))
        with pytest.raises(DataError, match=r"long\.wav must be finite"):
            EmotionRecognizer.from_hparams(system.folder).predict(system.waves / "long.wav")


# ------------------------------------------------------------------------------------------ extraction


@pytest.mark.parametrize("encoder", ["resemblyzer", "large", "base", "whisper"])
def test_features_extracted_alone_are_those_extracted_beside_others(encoders, corpus, tmp_path, encoder):
    folder, utterances, _ = corpus
    name, shape = (
        str(encoders.get(encoder, encoder)),
        {"resemblyzer": (3, 256), "whisper": (5, 16)}.get(encoder, (25, 16)),
    )
    features = ("layers", "mel", "speaker") if encoder == "resemblyzer" else ("layers",)
    spec = ExtractionSpec(name, *shape, features=features)
    chosen = {item: utterances[item] for item in ("two_and_one", "short_silence", "short")}
    together = extract(chosen, folder, tmp_path / "together", spec, progress=False)

    alone = extract({"short": chosen["short"]}, folder, tmp_path / "alone", spec, progress=False)

    for feature, store in alone.items():
        assert torch.equal(store.read("short"), together[feature].read("short"))


def test_features_from_a_worker_process_give_the_same(encoders, corpus, tmp_path, monkeypatch):
    """Another number of threads adds up in another order, which half precision may round the other way."""
    file, encoder, changes = CASES["ser_small"]
    monkeypatch.setitem(CASES, "workers", (file, encoder, {**changes, "extract_workers": 1}))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        system = build("workers", encoders, corpus, tmp_path)
        assert farthest(evaluate(system, list(LENGTHS)), system.reference) <= TOLERANCE
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("case", ["ser_small", "group_norm"])
def test_layers_that_had_heard_a_neighbours_silence_would_be_noticed(encoders, corpus, tmp_path, case):
    """Why extraction takes one utterance at a time: padded to a neighbour's length, these encoders answer otherwise."""
    system = build(case, encoders, corpus, tmp_path)
    wave = load_audio(system.waves / "short.wav")
    padded = frames_by_hand(system.hparams, {"short": torch.nn.functional.pad(wave, (0, SILENCE))})["short"]
    found = by_hand(system.hparams, padded[: FRAMES["short"]], system.speakers["short"])
    assert np.abs(found - system.reference["short"]).max() > 10 * TOLERANCE
