"""Small audio files and small random-weight encoders, saved as real ones are."""

from functools import cache

import pytest
import soundfile
import torch

from emorec_lobes.corpora.manifest import Utterance

_CONVOLUTIONS = {"conv_dim": (8,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
_SIZES = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24}
_LARGE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}
_WHISPER = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "vocab_size": 20,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "decoder_start_token_id": 0,
}


def _build(family):
    import transformers

    makers = {
        "wav2vec2": (transformers.Wav2Vec2Config, transformers.Wav2Vec2Model, _SIZES | _CONVOLUTIONS | _LARGE),
        "wav2vec2-base": (transformers.Wav2Vec2Config, transformers.Wav2Vec2Model, _SIZES | _CONVOLUTIONS),
        "hubert": (transformers.HubertConfig, transformers.HubertModel, _SIZES | _CONVOLUTIONS | _LARGE),
        "wavlm": (transformers.WavLMConfig, transformers.WavLMModel, _SIZES | _CONVOLUTIONS | _LARGE),
        "data2vec-audio": (transformers.Data2VecAudioConfig, transformers.Data2VecAudioModel, _SIZES | _CONVOLUTIONS),
        "whisper": (transformers.WhisperConfig, transformers.WhisperModel, _WHISPER),
    }
    config, model, sizes = makers[family]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return model(config(**sizes)).eval()


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory):
    """family -> (model, its folder); built when first asked for."""
    built = {}

    def get(family):
        if family not in built:
            folder = tmp_path_factory.mktemp(family)
            model = _build(family)
            model.save_pretrained(folder)
            built[family] = (model, folder)
        return built[family]

    return get


# Wide enough that the rounding of one number does not turn a frame: 8 channels are too few for a cosine.
WIDE = {
    "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 128,
    "conv_dim": (64,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip


@pytest.fixture(scope="session")
def wide_models(tmp_path_factory):
    """family -> the folder of an encoder of 4 x 64 with random weights; built when first asked for."""
    from transformers import AutoConfig, AutoModel

    @cache
    def folder(family):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = AutoModel.from_config(AutoConfig.for_model(family, **WIDE, **_LARGE))
        model.save_pretrained(path := tmp_path_factory.mktemp(family))
        return str(path)

    return folder


def noise(num_samples, seed=0, gain=0.1):
    return torch.randn(num_samples, generator=torch.Generator().manual_seed(seed)) * gain


@pytest.fixture()
def corpus(tmp_path):
    """(utterances, data folder) of `num` short noises of different lengths; more may be made."""
    folder = tmp_path / "corpus"

    def make(num):
        folder.mkdir(exist_ok=True)
        utterances = {}
        for index in range(num):
            num_samples = 4_000 + 700 * index
            soundfile.write(folder / f"{index}.wav", noise(num_samples, seed=index).numpy(), 16_000)
            utterances[f"u{index}"] = Utterance(
                f"u{index}", f"{{data_root}}/{index}.wav", num_samples / 16_000, "angry", "W", text="a b"
            )
        return utterances, folder

    return make


def contents(root):
    """What a feature folder holds: file -> bytes; of an index the set of lines, since workers finish in any order."""
    return {
        str(path.relative_to(root)): set(path.read_bytes().split(b"\n"))
        if path.suffix == ".jsonl"
        else path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


@pytest.fixture()
def folder_contents():
    return contents
