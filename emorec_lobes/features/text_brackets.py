"""Bracket tokens of a transcript, such as `[LAUGHTER]`: kept, dropped, or turned into plain words."""

import re

from emorec_lobes.corpora.manifest import END_OF_CONTEXT
from emorec_lobes.errors import ConfigError, DataError, not_one_of

BRACKETS = ("keep", "drop", "map")

_TOKEN = re.compile(r"\[\s*([^\W\d_][\w\s'-]*)\]")
# The names that are no words; any other one is its own.
_WORDS = {"garbage": "noise", "lipsmack": "lip smack"}


def check_brackets(brackets: str) -> None:
    """Refuses an option that is none of `BRACKETS`."""
    if brackets not in BRACKETS:
        raise ConfigError(not_one_of("brackets", brackets, BRACKETS))


def replace_brackets(text: str, brackets: str) -> str:
    """A transcript with its bracket tokens treated as asked.

    Arguments
    ---------
    text : str
        Brackets without a name in them, `[]` or `[1]`, are no tokens.
    brackets : str
        `keep` leaves the text as it is, `drop` takes the tokens out, `map` puts plain words in their place.

    Returns
    -------
    str
        Empty if there was nothing but tokens, and they are dropped.

    Example
    -------
    >>> text = "[LAUGHTER] Oh,[LIPSMACK]no."
    >>> replace_brackets(text, "keep"), replace_brackets(text, "drop"), replace_brackets(text, "map")
    ('[LAUGHTER] Oh,[LIPSMACK]no.', 'Oh, no.', 'laughter Oh, lip smack no.')
    """
    check_brackets(brackets)
    if brackets == "keep":
        return text
    replaced = _TOKEN.sub(lambda found: f" {_words(found[1])} " if brackets == "map" else " ", text)
    return " ".join(replaced.split())


def split_context(text: str) -> tuple[str, str]:
    """What was said before an utterance, if it stands in its text, and the utterance's own words.

    Example
    -------
    >>> split_context("No."), split_context("Well?\\x1eNo.")
    (('', 'No.'), ('Well?', 'No.'))
    """
    before, _, own = text.rpartition(END_OF_CONTEXT)
    return before, own


def has_letters(text: str) -> bool:
    """Whether a transcript has a letter of any script.

    Example
    -------
    >>> has_letters("Zoë?"), has_letters("... 12!")
    (True, False)
    """
    return any(character.isalpha() for character in text)


def check_transcript(text: str | None, name: str) -> str:
    """The transcript, if there is one.

    Arguments
    ---------
    text : str or None
    name : str
        Whose it is, for the message.

    Raises
    ------
    DataError
        If it is missing, blank, or was read from bytes that are not UTF-8.
    """
    if text is None or not text.strip():
        raise DataError(
            f"`text` of {name!r} must be a transcript, but is empty. Fill it in, or leave the utterance out."
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"`text` of {name!r} must be Unicode, but its character {error.start + 1} is {text[error.start]!a}: it was "
            "not read from UTF-8. Save the transcript as UTF-8, and run `emorec prepare` again."
        ) from None
    return text


def _words(name: str) -> str:
    plain = " ".join(re.split(r"[\s_-]+", name.strip().lower()))
    return _WORDS.get(plain, plain)
