"""What was said before an utterance: the turns of its dialogue, put in front of its text."""

from collections.abc import Mapping
from dataclasses import replace

from emorec_lobes.corpora.manifest import END_OF_CONTEXT, Utterance, with_labels, without_labels
from emorec_lobes.errors import DataError, ProtocolError


def contexts(utterances: Mapping[str, Utterance], num_turns: int) -> dict[str, str]:
    """The text of each utterance behind the text of the turns before it, which `END_OF_CONTEXT` ends.

    Turns count as the corpus numbers them: one that the manifest lacks is passed over, and none takes its place. A
    blank stands between turns, since every tokenizer takes one and no encoder's separator means a change of speaker.
    Where nothing was said before, the text stands alone.

    Arguments
    ---------
    utterances : mapping
        id -> `Utterance`, may be `without_labels`.
    num_turns : int
        How many turns before it.

    Raises
    ------
    DataError
        If an utterance has no dialogue or turn.

    Example
    -------
    >>> say = lambda turn, text: Utterance(f"x_{turn}", "", 0.0, "sad", "T", text=text, dialog="x_d", turn=turn)
    >>> contexts({item.id: item for item in (say(1, "Well?"), say(2, "No."), say(4, "Why?"))}, num_turns=2)
    {'x_1': 'Well?', 'x_2': 'Well?\\x1eNo.', 'x_4': 'No.\\x1eWhy?'}
    """
    spoken = {}
    for item in utterances.values():
        if item.dialog is None or item.turn is None:
            raise DataError(
                f"`context_turns` must be 0 without dialogues, but {item.id!r} has no dialog and turn. "
                "Use --context_turns 0, or a corpus of dialogues."
            )
        spoken[item.dialog, item.turn] = item.text
    texts = {}
    for key, item in utterances.items():
        said = (spoken.get((item.dialog, item.turn + back)) for back in range(-num_turns, 0))
        before = " ".join(filter(None, said))
        texts[key] = f"{before}{END_OF_CONTEXT}{item.text or ''}" if before else item.text
    return texts


def with_context(utterances: Mapping[str, Utterance], num_turns: int) -> Mapping[str, Utterance]:
    """The utterances, covered up as by `without_labels`, with `contexts` as their texts."""
    texts = contexts(without_labels(with_labels(utterances)), num_turns)
    return without_labels({key: replace(item, text=texts[key]) for key, item in with_labels(utterances).items()})


def check_dialogs(sides: Mapping[str, tuple[str, ...]], utterances: Mapping[str, Utterance]) -> None:
    """Refuses a dialogue on two sides of a fold, whose test text would be read in training as context.

    Arguments
    ---------
    sides : mapping
        Side, e.g. "training" -> ids.
    utterances : mapping
        id -> `Utterance`, may be `without_labels`.

    Raises
    ------
    ProtocolError
        Names the first such dialogue.
    """
    side_of: dict[str | None, str] = {}
    for side, ids in sides.items():
        for item in ids:
            dialog = utterances[item].dialog
            if side_of.setdefault(dialog, side) != side:
                raise ProtocolError(
                    f"The dialog {dialog!r} must not be in both {side_of[dialog]} and {side} with `context_turns`, "
                    "but is. Use --context_turns 0, or the scheme sessions or official."
                )
