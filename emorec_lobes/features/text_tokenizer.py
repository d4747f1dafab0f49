"""Transcript -> token ids: a model's own tokenizer, and which of the ids stand for the transcript."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from emorec_lobes.errors import ConfigError, UnavailableError
from emorec_lobes.features.huggingface import first_line, quiet
from emorec_lobes.features.huggingface_folder import TOKENIZER_OPTIONS, read_options
from emorec_lobes.features.text_brackets import check_brackets, replace_brackets, split_context

_CAPITALS = set("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


class TranscriptTokenizer:
    """A model's tokenizer for transcripts.

    Letters keep their case unless the model's tokenizer lowers it. A special token that is spelled out in a
    transcript, such as `[SEP]`, is kept as text. A transcript of which nothing is left, since its
    bracket tokens are dropped or the tokenizer ignores its characters, is one unknown token.

    What stands before `END_OF_CONTEXT` is read as the first text of a pair: the model sees it, and its tokens count as
    special ones, so that what is kept is the utterance's own. Where both are too long the context loses its beginning,
    and all of it before the utterance loses anything.

    Arguments
    ---------
    folder : Path
        The model's.
    brackets : str
        As `text_brackets.replace_brackets`.
    max_tokens : int
        Of one utterance, special tokens included; the rest of a longer transcript is cut off.

    Raises
    ------
    ConfigError
        If an option cannot be used, or the tokenizer lacks a token for padding or for what it does not know.
    UnavailableError
        If the tokenizer's files are damaged.
    """

    def __init__(self, folder: Path, brackets: str, max_tokens: int) -> None:
        check_brackets(brackets)
        self._brackets = brackets
        self._max_tokens = int(max_tokens)
        self._library = _load(folder)
        for name in ("pad_token", "unk_token"):
            if getattr(self._library, name) is None:
                raise ConfigError(
                    f"`encoder` {folder} must be a text encoder, but its tokenizer has no {name}. "
                    "Name another folder or hub id."
                )
        num_special = self._library.num_special_tokens_to_add()
        if self._max_tokens <= num_special:
            raise ConfigError(
                f"`max_tokens` must be above {num_special}, the special tokens of every utterance, "
                f"but is {max_tokens} instead. Raise it."
            )

    @property
    def num_ids(self) -> int:
        """Ids that it may give: 0 to one below."""
        return len(self._library)

    def encode(self, text: str) -> Any:
        """The model's input for one transcript, without a batch axis, and which of its tokens are special."""
        before, own = split_context(text)
        encoded = self._encode(own, truncation=True, max_length=self._max_tokens)
        if all(encoded["special_tokens_mask"]):
            own, encoded = "", self._call(self._library.unk_token, split_special_tokens=False)
        return self._behind(before, own, encoded) if before and own else encoded

    def truncated(self, text: str) -> bool:
        """Whether a transcript, without its context, is longer than `max_tokens`."""
        return len(self._encode(split_context(text)[1])["input_ids"]) > self._max_tokens

    def pad(self, encoded: Sequence[Any]) -> tuple[dict[str, Tensor], Tensor]:
        """Puts several of `encode` into one batch, padded on the right whatever the tokenizer's habit.

        Models with positions of their own would count from the padding otherwise; others do not mind.

        Returns
        -------
        inputs : dict
            The model's, of which not every model takes `token_type_ids`.
        kept : torch.Tensor, (B, N), bool
            Where a token of the transcript stands, rather than a special one or padding.
        """
        inputs = dict(self._library.pad(list(encoded), padding_side="right", return_tensors="pt"))
        special = inputs.pop("special_tokens_mask").bool()
        return inputs, inputs["attention_mask"].bool() & ~special

    def _encode(self, *texts: str, **options: Any) -> Any:
        spoken = [replace_brackets(text, self._brackets) for text in texts]
        return self._call(*spoken, split_special_tokens=True, **options)

    def _behind(self, before: str, own: str, alone: Any) -> Any:
        """The pair of a context and a transcript; `alone` is the transcript's own encoding."""
        num_own = alone["special_tokens_mask"].count(0)
        if num_own + self._library.num_special_tokens_to_add(pair=True) >= self._max_tokens:
            return alone
        self._library.truncation_side = "left"
        try:
            pair = self._encode(before, own, truncation="only_first", max_length=self._max_tokens)
        finally:
            self._library.truncation_side = "right"
        words = [place for place, special in enumerate(pair["special_tokens_mask"]) if not special]
        for place in words[:-num_own]:
            pair["special_tokens_mask"][place] = 1
        return pair

    def _call(self, *text: str, **options: Any) -> Any:
        # XLNet learnt that its last token is of another segment than the text; transformers 5 says so only if asked.
        wanted = ("special_tokens_mask", "attention_mask", "token_type_ids")
        return self._library(*text, **{f"return_{name}": True for name in wanted}, verbose=False, **options)


def _load(folder: Path) -> Any:
    """The tokenizer; one of a cased model does not lower letters only because nobody told it not to."""
    tokenizer = _from_files(folder)
    if getattr(tokenizer, "do_lower_case", False) and "do_lower_case" not in read_options(folder, TOKENIZER_OPTIONS):
        # transformers' default, which a folder of a cased model without that file would get.
        special = set(tokenizer.all_special_tokens)
        if set("".join(token for token in tokenizer.get_vocab() if token not in special)) >= _CAPITALS:
            return _from_files(folder, do_lower_case=False)
    return tokenizer


def _from_files(folder: Path, **options: Any) -> Any:
    from transformers import AutoTokenizer

    try:
        with quiet():
            return AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, truncation_side="right", **options
            )
    except Exception as error:  # the tokenizers library raises nothing more special
        raise UnavailableError(
            f"The tokenizer in {folder} cannot be loaded ({first_line(error)}). Get the model again, e.g. with "
            "`hf download`."
        ) from None
