"""Text encoders: a transcript -> the hidden states of its tokens, by a Hugging Face model or `minilm`."""

import inspect
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.errors import ConfigError
from emorec_lobes.features import text_minilm
from emorec_lobes.features.huggingface import check_sizes, load_model, read_config
from emorec_lobes.features.huggingface_folder import TEXT, content_identity, is_hub_id, locate_model
from emorec_lobes.features.speech import check_device
from emorec_lobes.features.store import FeatureStore, StoreHeader
from emorec_lobes.features.text_brackets import check_brackets
from emorec_lobes.features.text_tokenizer import TranscriptTokenizer

MINILM = text_minilm.NAME

# Of one pass through an encoder: enough to keep two cores busy, and 100 MB of hidden states of the large models.
_BATCH_TOKENS = 1024


class TextEncoder:
    """Hidden states of a frozen text model for the tokens of a transcript, special tokens and padding taken out.

    Layer 0 is the input of the first transformer layer; the last one is after the final layer norm where a model has
    one. What an utterance gives does not depend on those beside it in a batch.

    Source: Makiuchi 2021, section 3.4 (the last layer of a "large" model).
    Deviates: they take out the first and the last position by number, which leaves `[SEP]` in and the outputs at
    padding too, and lower all letters, also for cased models.

    Arguments
    ---------
    encoder, num_layers, encoder_dim, brackets, max_tokens, device
        As `load_text_encoder`.
    """

    def __init__(
        self, encoder: str, num_layers: int, encoder_dim: int, brackets: str, max_tokens: int, device: str = "cpu"
    ) -> None:
        folder = locate_text_model(encoder)
        config = read_config(folder)
        _check_kind(config, folder)
        check_sizes(encoder, _sizes(config, num_layers), (num_layers, encoder_dim))
        self.num_layers = num_layers
        self.dim = encoder_dim
        self._identity = identity(encoder, num_layers, brackets, max_tokens)
        self._device = torch.device(device)
        self._tokenizer = TranscriptTokenizer(folder, brackets, max_tokens)
        self._model = load_model(folder, config, unused=("pooler.",)).to(self._device)
        self._takes = set(inspect.signature(self._model.forward).parameters)
        _check_fit(encoder, self._model, self._tokenizer, max_tokens)

    def identity(self) -> dict[str, Any]:
        """What decides the values; part of the store's fingerprint."""
        return self._identity

    def truncated(self, text: str) -> bool:
        """Whether a transcript is longer than `max_tokens`."""
        return self._tokenizer.truncated(text)

    def tokens(self, text: str) -> Tensor:
        """Hidden states of one transcript.

        Arguments
        ---------
        text : str

        Returns
        -------
        torch.Tensor, (N, L, D), float32
            N >= 1: one unknown token stands for a transcript of which nothing is left.
        """
        return self.batch([text])[0]

    @torch.no_grad()
    def batch(self, texts: Sequence[str]) -> list[Tensor]:
        """Hidden states of several transcripts, as `tokens` gives them one by one, but for rounding."""
        inputs, kept = self._tokenizer.pad([self._tokenizer.encode(text) for text in texts])
        taken = {name: value.to(self._device) for name, value in inputs.items() if name in self._takes}
        output = self._model(**taken, output_hidden_states=self.num_layers > 1)
        # transformers 5 leaves the last hidden state of some models before the final layer norm.
        before = output.hidden_states[:-1] if self.num_layers > 1 else ()
        states = torch.stack([*before, output.last_hidden_state], dim=2).float().cpu()  # L x (B, N, D) -> (B, N, L, D)
        return [states[index][kept[index]] for index in range(len(texts))]


def load_text_encoder(
    encoder: str, num_layers: int, encoder_dim: int, brackets: str = "keep", max_tokens: int = 512, device: str = "cpu"
) -> TextEncoder:
    """Loads a text encoder.

    Arguments
    ---------
    encoder : str
        `minilm`, a hub id ("google-bert/bert-large-uncased") or a local folder.
    num_layers : int
        L: 1 for the last layer, or the number of all hidden states.
    encoder_dim : int
        D, which must be the encoder's own.
    brackets : str
        What becomes of `[LAUGHTER]`: `keep` it as text, `drop` it, or `map` it to a plain word.
    max_tokens : int
        Of one utterance, special tokens included; what is beyond is cut off.
    device : str
        Where it runs; results come back on the CPU.

    Returns
    -------
    TextEncoder

    Raises
    ------
    ConfigError
        If a value cannot be used with this encoder, or it is no text encoder.
    UnavailableError
        If the model or the device is not here, or its files are damaged.
    """
    _check(encoder, num_layers, encoder_dim, brackets, max_tokens)
    check_device(device)
    return TextEncoder(encoder, num_layers, encoder_dim, brackets, max_tokens, device)


def text_header(
    encoder: str, num_layers: int, encoder_dim: int, brackets: str = "keep", max_tokens: int = 512
) -> StoreHeader:
    """The store header of an encoder's tokens; reads files, but builds no model and asks no network.

    Raises
    ------
    ConfigError, UnavailableError
        As `load_text_encoder`, as far as it can be told without loading.

    Example
    -------
    >>> text_header("minilm", num_layers=1, encoder_dim=384).extractor
    'tokens-minilm'
    """
    _check(encoder, num_layers, encoder_dim, brackets, max_tokens)
    if encoder == MINILM:
        name = encoder
    elif is_hub_id(encoder):
        name = encoder.replace("/", "--")
    else:
        folder = locate_model(encoder, TEXT)
        config = read_config(folder)
        _check_kind(config, folder)
        check_sizes(encoder, _sizes(config, num_layers), (num_layers, encoder_dim))
        name = config.model_type
    made_from = identity(encoder, num_layers, brackets, max_tokens)
    return StoreHeader(f"tokens-{name}", made_from, None, None, (int(num_layers), int(encoder_dim)), "float16")


def identity(encoder: str, num_layers: int, brackets: str, max_tokens: int) -> dict[str, Any]:
    """What decides the values: a hub id's name, a folder's content wherever it lies, and the options."""
    if encoder == MINILM:
        weights = text_minilm.identity()
    else:
        weights = encoder if is_hub_id(encoder) else content_identity(locate_model(encoder, TEXT), TEXT)
    layers = "last" if num_layers == 1 else "all"
    return {"version": 1, "weights": weights, "layers": layers, "brackets": brackets, "max_tokens": int(max_tokens)}


def locate_text_model(encoder: str) -> Path:
    """The folder of an encoder's files; of a hub id the cache is asked first, then the hub."""
    return text_minilm.minilm_folder() if encoder == MINILM else locate_model(encoder, TEXT)


def equally_long(transcripts: Mapping[str, str], encoder: str, brackets: str, max_tokens: int) -> list[dict[str, str]]:
    """Transcripts in batches of `_BATCH_TOKENS` tokens, all of a batch of one length, short ones first.

    Arguments
    ---------
    transcripts : mapping
        Id -> transcript.
    encoder, brackets, max_tokens
        As `load_text_encoder`.

    Returns
    -------
    list of dict
        Id -> transcript, of each batch.
    """
    tokenizer = TranscriptTokenizer(locate_text_model(encoder), brackets, max_tokens)
    groups: dict[int, list[str]] = defaultdict(list)
    for key, transcript in transcripts.items():
        groups[len(tokenizer.encode(transcript)["input_ids"])].append(key)
    return [
        {key: transcripts[key] for key in batch}
        for length, keys in sorted(groups.items())
        for size in [max(1, _BATCH_TOKENS // length)]
        for batch in (keys[start : start + size] for start in range(0, len(keys), size))
    ]


def truncated(
    store: FeatureStore, utterances: Mapping[str, Utterance], encoder: str, brackets: str, max_tokens: int
) -> list[str]:
    """The utterances whose transcript was cut off at `max_tokens`.

    The store tells most of them apart by their length. The tokenizer is loaded only if some have as many tokens as fit.

    Returns
    -------
    list of str
        In the order of `utterances`.
    """
    # No tokenizer known adds more special tokens than four to one text.
    long = [item for item in utterances if item in store and store.num_frames(item) >= max_tokens - 4]
    if not long:
        return []
    tokenizer = TranscriptTokenizer(locate_text_model(encoder), brackets, max_tokens)
    return [item for item in long if tokenizer.truncated(utterances[item].text or "")]


def _check(encoder: str, num_layers: int, encoder_dim: int, brackets: str, max_tokens: int) -> None:
    check_brackets(brackets)
    for name, value in {"num_layers": num_layers, "max_tokens": max_tokens}.items():
        if value < 1:
            raise ConfigError(f"`{name}` must be 1 or more, but is {value} instead. Raise it.")
    if encoder == MINILM:
        all_layers = 1 if num_layers == 1 else text_minilm.NUM_LAYERS
        check_sizes(encoder, (all_layers, text_minilm.DIM), (num_layers, encoder_dim))


def _check_kind(config: Any, folder: Path) -> None:
    """Refuses what reads no text, or writes some."""
    from transformers import MODEL_MAPPING

    model = MODEL_MAPPING.get(type(config), None)
    # A few configurations are of several models, all of them of text.
    reads_text = model is not None and getattr(model, "main_input_name", "input_ids") == "input_ids"
    if not reads_text or getattr(config, "is_encoder_decoder", False):
        raise ConfigError(
            f"`encoder` {folder} must be a text encoder such as BERT, but is {config.model_type!r} instead. "
            "Name another folder or hub id."
        )


def _sizes(config: Any, num_layers: int) -> tuple[int, int]:
    """The hidden states that can be asked for instead of `num_layers`, and the width."""
    return (1 if num_layers == 1 else config.num_hidden_layers + 1), config.hidden_size


def _check_fit(encoder: str, model: nn.Module, tokenizer: TranscriptTokenizer, max_tokens: int) -> None:
    """Refuses ids that the model has no embedding for, and more tokens than it has positions for."""
    num_embeddings = model.get_input_embeddings().num_embeddings
    if tokenizer.num_ids > num_embeddings:
        raise ConfigError(
            f"`encoder` {encoder} has {num_embeddings} token embeddings, but its tokenizer has {tokenizer.num_ids} "
            "tokens: they are not of one model. Get the model again."
        )
    for name, table in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(table, nn.Embedding):
            # RoBERTa counts from behind the padding's position.
            most = table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
            if max_tokens > most:
                raise ConfigError(
                    f"`max_tokens` must be at most {most}, the positions of {encoder}, but is {max_tokens} instead. "
                    "Lower it."
                )
