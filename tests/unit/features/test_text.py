"""Text encoders, on small random-weight models of the architectures in Makiuchi 2021, Table 4, saved to disk."""

import json
import random
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import tokenizers
import torch
import transformers

from emorec_lobes.cli.main import main
from emorec_lobes.corpora.manifest import END_OF_CONTEXT, ManifestInfo, Utterance, read_manifest, write_manifest
from emorec_lobes.errors import ConfigError, DataError, StoreError, UnavailableError
from emorec_lobes.features import text as text_module
from emorec_lobes.features.extract import extract
from emorec_lobes.features.spec import ExtractionSpec, TextSpec
from emorec_lobes.features.store import FeatureStore
from emorec_lobes.features.text import TextEncoder, load_text_encoder, text_header
from emorec_lobes.features.text_tokenizer import TranscriptTokenizer

DIM, LAYERS, POSITIONS = 16, 3, 40
WORDS = ("the", "day", "was", "long", "Anna", "anna", "said", "no", "never", "laughter")
CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,!?'[]<>/"
LOWER = [item for item in (*WORDS, *CHARACTERS) if item == item.lower()]
TEXTS = ("No.", "Anna said the day was never long, never!", "the long day was long", "[LAUGHTER] never")

_SIZES = {"hidden_size": DIM, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
_POSITIONS = {"max_position_embeddings": POSITIONS, "initializer_range": 0.5}

# Family -> the special tokens before and behind a text, as its paper has them.
AROUND = {
    "albert": (["[CLS]"], ["[SEP]"]),
    "bert-cased": (["[CLS]"], ["[SEP]"]),
    "bert-uncased": (["[CLS]"], ["[SEP]"]),
    "bert-uncased-whole-word-masking": (["[CLS]"], ["[SEP]"]),
    "electra": (["[CLS]"], ["[SEP]"]),
    "roberta": (["<s>"], ["</s>"]),
    "xlnet": ([], ["<sep>", "<cls>"]),
}


def _word_pieces(lower):
    pieces = LOWER if lower else (*WORDS, *CHARACTERS)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces, *(f"##{item}" for item in pieces)]
    numbered = {token: number for number, token in enumerate(vocabulary)}
    return transformers.BertTokenizer(numbered, do_lower_case=lower)


def _unigrams(special, pieces):
    return [
        *((token, 0.0) for token in special),
        *((f"▁{word}", -2.0) for word in pieces if len(word) > 1),
        *((item, -5.0) for item in ("▁", *(item for item in pieces if len(item) == 1))),
    ]


def _byte_pairs():
    backend = tokenizers.ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    backend.train_from_iterator([" ".join(WORDS)] * 3, vocab_size=400, special_tokens=special, show_progress=False)
    model = json.loads(backend.to_str())["model"]
    return transformers.RobertaTokenizer(model["vocab"], [tuple(merge) for merge in model["merges"]])


def _build(family):
    """(tokenizer, model) of a family."""
    if family == "albert":
        pieces = _unigrams(["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"], LOWER)
        tokenizer = transformers.AlbertTokenizer(pieces)
        config = transformers.AlbertConfig(embedding_size=8, **_SIZES, **_POSITIONS)
    elif family == "roberta":
        tokenizer = _byte_pairs()
        ids = {name: getattr(tokenizer, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
        offset = {"max_position_embeddings": POSITIONS + tokenizer.pad_token_id + 1}
        config = transformers.RobertaConfig(**_SIZES, **_POSITIONS | offset, **ids)
    elif family == "xlnet":
        special = ["<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>"]
        tokenizer = transformers.XLNetTokenizer(_unigrams(special, (*WORDS, *CHARACTERS)))
        config = transformers.XLNetConfig(d_model=DIM, n_layer=2, n_head=2, d_inner=24, initializer_range=0.5)
    else:
        tokenizer = _word_pieces(lower=family != "bert-cased")
        config_of = transformers.ElectraConfig if family == "electra" else transformers.BertConfig
        config = config_of(**_SIZES, **_POSITIONS, **({"embedding_size": 8} if family == "electra" else {}))
    config.vocab_size = len(tokenizer)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return tokenizer, transformers.AutoModel.from_config(config).eval()


@pytest.fixture(scope="session")
def text_models(tmp_path_factory):
    """family -> (model, its folder); built when first asked for."""
    built = {}

    def get(family):
        if family not in built:
            folder = tmp_path_factory.mktemp(family)
            tokenizer, model = _build(family)
            tokenizer.save_pretrained(folder)
            model.save_pretrained(folder)
            built[family] = (model, folder)
        return built[family]

    return get


@pytest.fixture()
def load(text_models):
    """(family, options) -> its encoder."""

    def get(family="bert-uncased", **options):
        options = {"num_layers": 1, "encoder_dim": DIM, "max_tokens": POSITIONS} | options
        return load_text_encoder(str(text_models(family)[1]), **options)

    return get


@pytest.fixture()
def copied(text_models, tmp_path):
    """(family, name) -> a copy of its folder, to be changed."""

    def get(family="bert-uncased", name="copy"):
        return shutil.copytree(text_models(family)[1], tmp_path / name)

    return get


def change_json(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def pieces_of(folder, text):
    """The pieces of a text and their ids, by the tokenizers library alone, without special tokens."""
    encoded = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text, add_special_tokens=False)
    return encoded.tokens, encoded.ids


def one_line(caught):
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ------------------------------------------------------------------------------------------ what the features are


@pytest.mark.parametrize("family", AROUND)
def test_features_are_those_of_the_pieces_of_the_text_and_of_no_special_token(family, text_models, load):
    model, folder = text_models(family)
    vocabulary = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    before, behind = AROUND[family]
    of_last, of_all = load(family), load(family, num_layers=LAYERS)
    for text in TEXTS:
        pieces, ids = pieces_of(folder, text)
        assert not {*before, *behind} & {*pieces}
        around = [[vocabulary.token_to_id(item) for item in side] for side in (before, behind)]
        kinds = {"token_type_ids": torch.tensor([[0] * (len(ids) + 1) + [2]])} if family == "xlnet" else {}
        with torch.no_grad():
            states = model(torch.tensor([[*around[0], *ids, *around[1]]]), output_hidden_states=True, **kinds)
        rows = slice(len(before), len(before) + len(ids))

        last, layers = of_last.tokens(text), of_all.tokens(text)

        assert last.shape == (len(pieces), 1, DIM)
        assert layers.shape == (len(pieces), LAYERS, DIM)
        torch.testing.assert_close(last[:, 0], states.last_hidden_state[0, rows])
        torch.testing.assert_close(layers[:, 1], states.hidden_states[1][0, rows])
        assert torch.equal(layers[:, -1], last[:, 0])


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("family", AROUND)
def test_no_feature_depends_on_the_padding_of_its_neighbours(family, side, copied):
    folder = copied(family)
    change_json(folder / "tokenizer_config.json", padding_side=side)
    encoder = load_text_encoder(str(folder), LAYERS, DIM, max_tokens=POSITIONS)

    together = encoder.batch(TEXTS)

    assert len({len(each) for each in together}) > 2
    for text, features in zip(TEXTS, together, strict=True):
        torch.testing.assert_close(features, encoder.tokens(text), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(features, encoder.batch([TEXTS[1], text])[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("family", "same"), [("bert-cased", False), ("bert-uncased", True), ("roberta", False),
                                              ("xlnet", False), ("albert", True)])  # fmt: skip
def test_case_is_lowered_only_where_the_model_lowers_it(family, same, load):
    upper, lower = (load(family).tokens(text) for text in ("Anna", "anna"))
    assert (upper.shape == lower.shape and torch.equal(upper, lower)) is same


@pytest.mark.parametrize("family", ["bert-cased", "bert-uncased"])
@pytest.mark.parametrize("left", ["tokenizer.json", "vocab.txt"])
def test_a_model_whose_options_say_nothing_of_case_goes_by_its_vocabulary(family, left, copied, load):
    folder = copied(family)
    (folder / "tokenizer_config.json").unlink()
    if left == "vocab.txt":
        vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
        (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.get)))
        (folder / "tokenizer.json").unlink()

    found = load_text_encoder(str(folder), 1, DIM, max_tokens=POSITIONS).tokens("Anna never")

    assert torch.equal(found, load(family).tokens("Anna never"))


def test_a_special_token_that_is_spelled_out_is_text(load, text_models):
    for family, text in {"bert-cased": "no [SEP] no [PAD]", "xlnet": "no <sep> no <pad>"}.items():
        encoder = load(family)
        assert len(encoder.tokens(text)) > len(encoder.tokens("no no")) + 2
        torch.testing.assert_close(encoder.batch([text, TEXTS[1]])[0], encoder.tokens(text), rtol=1e-4, atol=1e-5)


def test_weights_saved_with_a_head_and_without_a_pooler_are_enough(tmp_path, text_models, load):
    model, folder = text_models("bert-uncased")
    with_head = transformers.BertForMaskedLM(model.config)
    with_head.bert.load_state_dict(model.state_dict(), strict=False)
    shutil.copytree(folder, tmp_path / "head")
    with_head.save_pretrained(tmp_path / "head")

    found = load_text_encoder(str(tmp_path / "head"), 1, DIM, max_tokens=POSITIONS)

    assert torch.equal(found.tokens("no day"), load().tokens("no day"))


# ------------------------------------------------------------------------------------------ context

SAID = "the long day" + END_OF_CONTEXT


@pytest.mark.parametrize("family", AROUND)
def test_behind_a_context_only_the_utterances_own_tokens_are_kept_and_they_have_seen_it(family, load):
    encoder = load(family)
    alone, behind = (encoder.tokens(text) for text in ("Anna said no", SAID + "Anna said no"))
    assert alone.shape == behind.shape
    assert not torch.allclose(alone, behind, atol=1e-3)
    torch.testing.assert_close(encoder.batch([SAID + "Anna said no", TEXTS[1]])[0], behind, rtol=1e-4, atol=1e-5)


def test_a_context_is_the_first_text_of_a_pair(text_models, load):
    model, folder = text_models("bert-uncased")
    vocabulary = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    words = ["[CLS]", "the", "long", "day", "[SEP]", "anna", "said", "no", "[SEP]"]
    ids = torch.tensor([[vocabulary.token_to_id(word) for word in words]])
    kinds = torch.tensor([[0] * 5 + [1] * 4])
    with torch.no_grad():
        expected = model(ids, token_type_ids=kinds).last_hidden_state[0, 5:8]
    torch.testing.assert_close(load("bert-uncased").tokens(SAID + "Anna said no")[:, 0], expected)


@pytest.mark.parametrize("family", AROUND)
def test_a_long_context_loses_its_beginning_and_a_long_utterance_all_of_its_context(family, load):
    encoder = load(family, max_tokens=14)
    own = "no no no no"
    end = "the day was " * 20 + "long" + END_OF_CONTEXT + own
    behind = encoder.tokens(end)
    assert len(behind) == len(encoder.tokens(own))
    torch.testing.assert_close(behind, encoder.tokens("said " * 50 + end))
    assert not encoder.truncated(end)

    long = "never " * 50
    assert torch.equal(encoder.tokens(SAID + long), encoder.tokens(long))
    assert encoder.truncated(SAID + long)


def test_an_utterance_of_which_nothing_is_left_has_no_context_either(load):
    drops = load(brackets="drop")
    assert torch.equal(drops.tokens(SAID + "[LAUGHTER]"), drops.tokens("[LAUGHTER]"))


def test_an_utterance_without_words_is_refused_whatever_was_said_before_it(tmp_path, spec):
    with pytest.raises(DataError, match="'u0'") as caught:
        run(said(SAID + " "), tmp_path, spec)
    one_line(caught)


# ------------------------------------------------------------------------------------------ what is left of a text


def test_bracket_tokens_are_kept_dropped_or_mapped(load):
    text = "[LAUGHTER] never [LIPSMACK]"
    found = {option: load(brackets=option).tokens(text) for option in ("keep", "drop", "map")}
    plain = load()
    assert torch.equal(found["keep"], plain.tokens(text))
    assert torch.equal(found["drop"], plain.tokens("never"))
    assert torch.equal(found["map"], plain.tokens("laughter never lip smack"))


@pytest.mark.parametrize("family", AROUND)
def test_a_transcript_of_which_nothing_is_left_is_one_unknown_token(family, load, text_models):
    drops, keeps = load(family, brackets="drop"), load(family, brackets="keep")
    tokens = drops.tokens("[LAUGHTER] [BREATHING]")
    assert tokens.shape == (1, 1, DIM)
    assert torch.equal(tokens, keeps.tokens(""))
    assert len(keeps.tokens("[LAUGHTER]")) > 1
    alone, long = drops.batch(["[LAUGHTER]", TEXTS[1]])
    torch.testing.assert_close(alone, tokens, rtol=1e-4, atol=1e-5)
    assert len(long) > 5


@pytest.mark.parametrize("family", AROUND)
def test_a_text_of_5000_tokens_keeps_its_beginning_and_says_so(family, load, text_models):
    long = "never " * 5_000
    encoder = load(family, max_tokens=12)
    num_special = sum(map(len, AROUND[family]))

    tokens = encoder.tokens(long)

    assert len(tokens) == 12 - num_special
    assert encoder.truncated(long)
    fitting = "the" + " day" * (12 - num_special - 1)
    assert len(pieces_of(text_models(family)[1], fitting)[0]) == 12 - num_special
    assert not encoder.truncated(fitting)
    assert encoder.truncated(fitting + " day")
    assert torch.equal(encoder.tokens(fitting + " day no no"), encoder.tokens(fitting))


@pytest.mark.parametrize("family", ["bert-uncased", "roberta"])
def test_more_tokens_than_positions_are_refused_and_as_many_are_not(family, load):
    assert load(family, max_tokens=POSITIONS).tokens("never " * 100).shape[0] == POSITIONS - 2
    with pytest.raises(ConfigError, match=f"`max_tokens` must be at most {POSITIONS}") as caught:
        load(family, max_tokens=POSITIONS + 1)
    one_line(caught)


# ------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"brackets": "kept"}, "Did you mean 'keep'?"),
        ({"max_tokens": 2}, "above 2"),
        ({"max_tokens": 0}, "1 or more"),
        ({"num_layers": 2}, "num_layers: 3, encoder_dim: 16"),
        ({"num_layers": 0}, "1 or more"),
        ({"encoder_dim": 17}, "num_layers: 1, encoder_dim: 16"),
    ],
)
def test_an_option_that_does_not_fit_is_one_line(options, message, load):
    with pytest.raises(ConfigError) as caught:
        load(**options)
    assert message in one_line(caught)


def test_a_speech_model_and_one_that_writes_are_no_text_encoders(tiny_models, copied):
    folder = copied()
    for family in ("wav2vec2", "whisper"):
        shutil.copy(tiny_models(family)[1] / "config.json", folder)
        for attempt in (load_text_encoder, text_header):
            with pytest.raises(ConfigError, match="must be a text encoder such as BERT") as caught:
                attempt(str(folder), 1, DIM)
            one_line(caught)


def _without_tokenizer(folder):
    (folder / "tokenizer.json").unlink()


def _torn_tokenizer(folder):
    (folder / "tokenizer.json").write_text('{"version": "1.0", ')


def _torn_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:500])


def _other_tokenizer(folder):
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"] |= {f"w{number}": 5_000 + number for number in range(500)}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (_without_tokenizer, UnavailableError, "must hold a tokenizer"),
        (_torn_tokenizer, UnavailableError, "tokenizer in .* cannot be loaded"),
        (_torn_weights, UnavailableError, "weights in .* cannot be loaded"),
        (_other_tokenizer, ConfigError, "not of one model"),
    ],
)
def test_a_damaged_folder_is_one_line(damage, error, message, copied):
    folder = copied()
    damage(folder)
    with pytest.raises(error, match=message) as caught:
        load_text_encoder(str(folder), 1, DIM, max_tokens=POSITIONS)
    assert str(folder) in one_line(caught) or folder.name in one_line(caught)


def test_code_that_a_model_brings_along_is_not_run(copied):
    folder = copied()
    (folder / "evil.py").write_text("raise SystemExit('ran')\n")
    change_json(folder / "config.json", auto_map={"AutoModel": "evil.Model", "AutoConfig": "evil.Config"})
    change_json(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Tokenizer", None]})

    assert load_text_encoder(str(folder), 1, DIM, max_tokens=POSITIONS).tokens("no").shape == (1, 1, DIM)


def test_a_hub_id_that_is_not_here_names_what_runs_offline(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UnavailableError, match="--encoder minilm --num_layers 1 --encoder_dim 384") as caught:
        load_text_encoder("nobody/nothing", 1, 384)
    one_line(caught)
    with pytest.raises(ConfigError, match="must be one of minilm, a folder that exists"):
        load_text_encoder("/nowhere/at/all", 1, 384)


# ------------------------------------------------------------------------------------------ header


def test_the_fingerprint_covers_model_tokenizer_and_options_but_not_the_place(text_models, copied):
    folder = text_models("bert-uncased")[1]
    header = text_header(str(folder), 1, DIM)
    assert (header.sample_rate_hz, header.frame_shift_s, header.shape, header.dtype) == (
        None,
        None,
        (1, DIM),
        "float16",
    )
    assert header.extractor == "tokens-bert"
    assert text_header(str(copied()), 1, DIM) == header

    recased = copied(name="recased")
    change_json(recased / "tokenizer_config.json", do_lower_case=False)
    others = [
        text_header(str(folder), LAYERS, DIM),
        text_header(str(folder), 1, DIM, brackets="drop"),
        text_header(str(folder), 1, DIM, max_tokens=30),
        text_header(str(text_models("bert-cased")[1]), 1, DIM),
        text_header(str(recased), 1, DIM),
        text_header("google-bert/bert-large-uncased", 1, DIM),
    ]
    assert len({header.fingerprint, *(each.fingerprint for each in others)}) == 7


def test_an_encoder_says_what_its_header_says(text_models, load):
    options = {"brackets": "map", "max_tokens": 20}
    header = text_header(str(text_models("bert-uncased")[1]), 1, DIM, **options)
    assert load(**options).identity() == header.identity


# ------------------------------------------------------------------------------------------ extraction


def said(*texts):
    """A corpus of text alone."""
    return {f"u{number}": Utterance(f"u{number}", "", 0.0, "sad", "T", text=text) for number, text in enumerate(texts)}


@pytest.fixture()
def spec(text_models):
    return TextSpec(str(text_models("bert-uncased")[1]), 1, DIM, max_tokens=POSITIONS)


def run(utterances, root, spec, **options):
    return extract(utterances, root / "no corpus here", root / "features", spec, progress=False, **options)["tokens"]


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_transcripts_are_extracted_without_audio(tmp_path, spec, load, workers):
    utterances = said(*TEXTS)

    store = run(utterances, tmp_path, spec, workers=workers)

    assert store.header == spec.header()
    for key, utterance in utterances.items():
        torch.testing.assert_close(store.read(key), load().tokens(utterance.text).half())
    assert len(set(store.audio_hashes.values())) == len(TEXTS)


def test_only_new_and_changed_transcripts_are_computed(tmp_path, spec, monkeypatch):
    utterances = said(*TEXTS)
    run(utterances, tmp_path, spec)
    written = []
    real = FeatureStore.write
    monkeypatch.setattr(FeatureStore, "write", lambda store, key, *rest: written.append(key) or real(store, key, *rest))

    run(said(TEXTS[0], "no day", *TEXTS[2:]), tmp_path, spec)
    run({"u2": replace(utterances["u2"], emotion="happy", speaker="x")}, tmp_path, spec)

    assert written == ["u1"]


def many():
    """Sixty texts of one to five words, some of them the same."""
    generator = random.Random(4)
    return said(*(" ".join(generator.choices(["no", "day", "never", "long"], k=1 + n % 5)) for n in range(60)))


def test_transcripts_of_as_many_tokens_go_through_the_encoder_together_and_no_others(tmp_path, spec, load, monkeypatch):
    monkeypatch.setattr(text_module, "_BATCH_TOKENS", 30)
    batches = []
    real = TextEncoder.batch
    monkeypatch.setattr(TextEncoder, "batch", lambda encoder, texts: batches.append(texts) or real(encoder, texts))

    store = run(many(), tmp_path, spec)

    lengths = [{len(text.split()) + 2 for text in texts} for texts in batches]
    assert all(len(each) == 1 and len(texts) * max(each) <= 30 for each, texts in zip(lengths, batches, strict=True))
    assert sum(map(len, batches)) == 60 and len(batches) < 20
    for key, utterance in many().items():
        torch.testing.assert_close(store.read(key), load().tokens(utterance.text).half())


@pytest.mark.parametrize("dies_at", [1, 7, 31, 59])
def test_an_interrupted_extraction_ends_with_the_same_bits(tmp_path, spec, monkeypatch, dies_at):
    whole = run(many(), tmp_path / "whole", spec)
    real, written = FeatureStore.write, []

    def write(store, key, *rest):
        written.append(key)
        if len(written) == dies_at:
            raise KeyboardInterrupt
        real(store, key, *rest)

    monkeypatch.setattr(FeatureStore, "write", write)
    with pytest.raises(KeyboardInterrupt):
        run(many(), tmp_path / "cut", spec)
    store = run(many(), tmp_path / "cut", spec)

    assert len(written) == 61 and sorted(store.ids) == sorted(whole.ids)
    for key in whole.ids:
        assert torch.equal(store.read(key), whole.read(key))


def test_a_filled_store_needs_no_model(tmp_path, spec, copied, monkeypatch):
    utterances = said(*TEXTS)
    run(utterances, tmp_path, spec)
    monkeypatch.setattr(text_module, "load_text_encoder", None)

    assert len(run(utterances, tmp_path, replace(spec, device="cuda"))) == len(TEXTS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "'u1' must be a transcript, but is empty"),
        ("", "'u1' must be a transcript, but is empty"),
        (" \n", "'u1' must be a transcript, but is empty"),
        ("caf\udce9", "'u1' must be Unicode, but its character 4 is '\\udce9'"),
    ],
)
def test_a_transcript_that_is_none_is_named_after_all_others_are_finished(tmp_path, spec, text, message):
    with pytest.raises(DataError) as caught:
        run(said("no", text, "never"), tmp_path, spec)

    assert "1 of 3 utterances" in one_line(caught)
    assert message in one_line(caught)
    assert set(spec.open(tmp_path / "features")["tokens"].ids) == {"u0", "u2"}


def test_a_manifest_that_is_not_utf8_is_one_line(tmp_path):
    path = tmp_path / "manifest.json"
    write_manifest(path, said("cafe").values(), ManifestInfo("table"))
    path.write_bytes(path.read_bytes().replace(b"cafe", b"caf\xe9"))
    with pytest.raises(DataError, match=r"is not valid JSON .*utf-8") as caught:
        read_manifest(path)
    one_line(caught)


def test_transcripts_that_are_cut_off_or_have_no_letters_are_counted(tmp_path, spec, caplog):
    short = replace(spec, max_tokens=6, brackets="drop")
    utterances = said("no " * 5_000, "no no no no", "no no no no no", "... 12!", "[LAUGHTER]", "never")

    store = run(utterances, tmp_path, short)

    assert [store.num_frames(key) for key in utterances] == [4, 4, 4, 4, 1, 1]
    assert short.truncated(store, utterances) == ["u0", "u2", "u3"]
    assert short.without_letters(store, utterances) == ["u3", "u4"]
    assert [record.getMessage() for record in caplog.records if record.name.startswith("emorec_lobes")] == [
        "3 of 6 transcripts are longer than `max_tokens` (6) and cut off there. The first is that of 'u0'.",
        "2 of 6 transcripts have no letters. The first is that of 'u3'.",
    ]


def test_counting_what_was_cut_off_loads_nothing_where_all_are_short(tmp_path, spec, monkeypatch):
    utterances = said(*TEXTS)
    store = run(utterances, tmp_path, spec)
    monkeypatch.setattr(text_module, "TranscriptTokenizer", None)
    assert spec.truncated(store, utterances) == []


def test_other_sizes_than_the_stores_are_refused(tmp_path, spec, monkeypatch):
    run(said("no"), tmp_path, spec)
    header = spec.header()
    monkeypatch.setattr(TextSpec, "header", lambda spec, feature="tokens": replace(header, shape=(1, DIM + 1)))
    with pytest.raises((ConfigError, StoreError), match="encoder_dim 16") as caught:
        run(said("no"), tmp_path, spec)
    one_line(caught)


def test_speech_features_of_a_corpus_of_text_alone_are_refused(tmp_path):
    with pytest.raises(DataError, match="text alone") as caught:
        extract(said("no"), tmp_path, tmp_path / "f", ExtractionSpec("mel", 1, 80, features=("mel",)), progress=False)
    one_line(caught)


def test_special_tokens_are_left_out_by_the_tokenizers_own_mask(text_models):
    """The mask is what decides: the ids of special tokens would take out an unknown word as well."""
    tokenizer = TranscriptTokenizer(text_models("bert-uncased")[1], "keep", POSITIONS)
    inputs, kept = tokenizer.pad([tokenizer.encode("no ☃ no"), tokenizer.encode("no")])
    assert inputs["input_ids"].shape == kept.shape == (2, 5)
    assert kept.tolist() == [[False, True, True, True, False], [False, True, False, False, False]]
    assert sorted(inputs) == ["attention_mask", "input_ids", "token_type_ids"]


def test_nothing_of_the_text_library_is_loaded_by_importing_us():
    script = "import sys, emorec_lobes.features.spec; sys.exit('transformers' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.fixture()
def command(tmp_path, text_models):
    write_manifest(tmp_path / "m.json", said("no never", "never").values(), ManifestInfo("table"))
    words = ["extract", "--manifest", str(tmp_path / "m.json"), "--data-folder", str(tmp_path)]
    encoder = ["--encoder", str(text_models("bert-uncased")[1]), "--encoder-dim", str(DIM), "--max-tokens", "20"]
    return [*words, "--to", str(tmp_path / "f"), "--features", "tokens", *encoder]


def test_the_command_extracts_tokens_of_the_last_layer_without_audio(command, tmp_path, spec, capsys):
    assert main(command) == 0
    out, _ = capsys.readouterr()
    assert out.startswith("tokens       2 utterances  N x 1 x 16")
    store = replace(spec, encoder=command[command.index("--encoder") + 1], num_layers=1, max_tokens=20).open(
        tmp_path / "f"
    )["tokens"]
    assert [store.num_frames(key) for key in ("u0", "u1")] == [2, 1]


def test_the_command_refuses_tokens_beside_features_of_another_encoder(command, tmp_path, capsys):
    command[command.index("tokens")] = "tokens,mel"
    assert main(command) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "must be tokens alone" in err
    assert not (tmp_path / "f").exists()
