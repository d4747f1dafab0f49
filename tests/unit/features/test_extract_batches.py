"""At bf16 utterances go through the encoder together: the store is that of singles, whatever interrupts it."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cosine_similarity

from emorec_lobes.cli.main import main
from emorec_lobes.corpora.manifest import ManifestInfo, Utterance, write_manifest
from emorec_lobes.errors import ConfigError, DataError
from emorec_lobes.features.audio import load_audio
from emorec_lobes.features.extract import ExtractionSpec, extract
from emorec_lobes.features.speech import load_encoder
from emorec_lobes.features.speech_batches import batches_of


@pytest.fixture()
def spec(wide_models):
    return ExtractionSpec(wide_models("wav2vec2"), 4, 64, features=("layers", "mel"), precision="bf16")


def run(utterances, folder, root, spec, **options):
    return extract(utterances, folder, root, spec, progress=False, **options)


def cosine(found, expected):
    return float(cosine_similarity(found.double(), expected.double(), dim=-1).min())


def test_what_went_together_is_stored_as_what_each_gives_alone(tmp_path, corpus, spec):
    utterances, folder = corpus(5)

    store = run(utterances, folder, tmp_path / "f", spec)["layers"]

    alone, exact = (load_encoder(spec.encoder, 4, 64, precision=precision) for precision in ("bf16", "fp32"))
    for index, item in enumerate(utterances):
        wave = load_audio(folder / f"{index}.wav")
        assert cosine(store.read(item), alone.layers(wave)) > 0.9995
        assert cosine(store.read(item), exact.layers(wave)) > 0.999


def test_batches_hold_each_utterance_once_are_even_and_follow_from_the_manifest_alone():
    seconds = [1 + (7 * index % 50) / 7 for index in range(200)]
    made = {f"u{index:03}": Utterance(f"u{index:03}", "", each, "sad", "") for index, each in enumerate(seconds)}

    batches = batches_of(made)

    assert sorted(item for batch in batches for item in batch) == sorted(made)
    for batch in batches:
        lengths = [made[item].duration for item in batch]
        assert max(lengths) <= 1.26 * min(lengths) and max(lengths) * len(lengths) <= 32.1
    assert len(batches) < 200 / 4
    assert [list(batch) for batch in batches_of(dict(reversed(made.items())))] == [list(batch) for batch in batches]


def test_single_precision_is_never_batched(spec, corpus):
    assert replace(spec, precision="fp32").batches(corpus(3)[0]) == []
    assert replace(spec, features=("mel",)).batches(corpus(3)[0]) == []


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_what_was_interrupted_ends_with_the_same_bits(tmp_path, corpus, spec, folder_contents, workers):
    utterances, folder = corpus(4)
    run(utterances, folder, tmp_path / "whole", spec)
    store = run(utterances, folder, tmp_path / "cut", spec)["layers"]
    before = folder_contents(tmp_path / "whole")

    for item in ("u1", "u3"):  # as if it had died before these
        (store.folder / store.entry(item).file).unlink()
    run(utterances, folder, tmp_path / "cut", spec, workers=workers)

    assert folder_contents(tmp_path / "cut").keys() == before.keys()
    for item in utterances:
        again = [spec.open(tmp_path / name)["layers"].read(item) for name in ("whole", "cut")]
        assert torch.equal(*again)


def test_bad_audio_does_not_stop_the_rest_of_its_batch(tmp_path, corpus, spec):
    utterances, folder = corpus(4)
    (folder / "2.wav").write_bytes(b"no audio")

    with pytest.raises(DataError, match=r"1 of 4 utterances cannot be used.*'u2'"):
        run(utterances, folder, tmp_path / "f", spec)

    assert sorted(spec.open(tmp_path / "f")["layers"].ids) == ["u0", "u1", "u3"]


def test_precisions_and_types_lie_side_by_side(tmp_path, corpus, spec):
    utterances, folder = corpus(2)
    specs = [replace(spec, precision=one, dtype=two) for one in ("fp32", "bf16") for two in ("float16", "int8")]

    stores = [run(utterances, folder, tmp_path / "f", each)["layers"] for each in specs]

    assert len({store.folder for store in stores}) == 4
    assert [store.header.dtype for store in stores] == ["float16", "int8"] * 2
    assert [store.header.identity.get("precision") for store in stores] == [None, None, "bf16", "bf16"]
    for half, whole in (stores[:2], stores[2:]):
        scale = half.read("u0").float().abs().amax(dim=-1, keepdim=True) / 127
        assert ((whole.read("u0") - half.read("u0").float()).abs() <= scale * 0.6).all()


def test_the_default_is_the_store_there_always_was(spec):
    """Stores that exist stay valid: these values may only change on purpose."""
    header = ExtractionSpec("facebook/wav2vec2-large-lv60", 25, 1024).header("layers")

    assert header.dtype == "float16"
    assert header.identity == {"version": 1, "weights": "facebook/wav2vec2-large-lv60", "padding": "centred"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"dtype": "int4"}, "`dtype` must be one of float16, int8, but is 'int4'"),
        ({"precision": "fp8"}, "`precision` must be one of fp32, bf16, but is 'fp8'"),
        ({"encoder": "mel", "num_layers": 1, "encoder_dim": 80}, "`precision` must be fp32 with the encoder mel"),
    ],
)
def test_what_there_is_not_is_refused_before_anything_is_read(tmp_path, corpus, spec, options, expected):
    with pytest.raises(ConfigError, match=expected):
        run(*corpus(1), tmp_path / "f", replace(spec, **options))


def test_the_command_takes_both(tmp_path, corpus, spec, capsys):
    utterances, folder = corpus(2)
    write_manifest(tmp_path / "m.json", utterances.values(), ManifestInfo("table"))
    words = ["--manifest", tmp_path / "m.json", "--data-folder", folder, "--to", tmp_path / "f", "--features", "layers"]
    words += ["--encoder", spec.encoder, "--num-layers", 4, "--encoder-dim", 64]

    assert main(["extract", *map(str, words), "--dtype", "int8", "--precision", "bf16"]) == 0

    assert "T x 4 x 64    int8" in capsys.readouterr().out
    assert len(replace(spec, dtype="int8", features=("layers",)).open(tmp_path / "f")["layers"]) == 2
