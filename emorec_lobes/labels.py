"""The closed vocabulary of emotion names, and how corpora's spellings map onto it."""

from collections.abc import Iterable, Mapping, Sequence

from emorec_lobes.errors import DataError, not_one_of

# The order is the class order everywhere: the first four are class ids 0-3 of Makiuchi 2021.
CANONICAL = (
    "angry",
    "neutral",
    "happy",
    "sad",
    "excited",
    "frustrated",
    "fearful",
    "surprised",
    "disgusted",
    "bored",
    "calm",
    "contempt",
    "peaceful",
    "powerful",
    "other",
)

FOUR_CLASSES = CANONICAL[:4]

# Ekman's six basic emotions and neutral, as text corpora spell them, in class order.
EKMAN = ("anger", "neutral", "joy", "sadness", "fear", "surprise", "disgust")

_SPELLINGS = {
    "anger": "angry",
    "ang": "angry",
    "mad": "angry",
    "neu": "neutral",
    "neutrality": "neutral",
    "happiness": "happy",
    "hap": "happy",
    "joy": "happy",
    "joyful": "happy",
    "sadness": "sad",
    "exc": "excited",
    "excitement": "excited",
    "fru": "frustrated",
    "frustration": "frustrated",
    "fear": "fearful",
    "fea": "fearful",
    "scared": "fearful",
    "anxiety": "fearful",
    "surprise": "surprised",
    "sur": "surprised",
    "disgust": "disgusted",
    "dis": "disgusted",
    "boredom": "bored",
    "boredem": "bored",
    "contemptuous": "contempt",
    "oth": "other",
}

# Stands for the index of a speaker who is not among those of the training.
UNKNOWN_SPEAKER = -1


def canonical(raw: str, mapping: Mapping[str, str] | None = None) -> str:
    """The canonical name of a corpus's own label.

    Arguments
    ---------
    raw : str
        The label as the corpus spells it; case and surrounding space do not matter.
    mapping : mapping, optional
        The user's own map, raw to canonical; it goes before the built-in spellings.

    Returns
    -------
    str
        A member of `CANONICAL`.

    Raises
    ------
    DataError
        If neither the map nor the built-in spellings know the label.

    Example
    -------
    >>> canonical(" Anger ")
    'angry'
    >>> canonical("W", {"W": "angry"})
    'angry'
    """
    name = raw.strip()
    name = (mapping or {}).get(name, name).strip().lower()
    name = _SPELLINGS.get(name, name)
    if name not in CANONICAL:
        raise DataError(not_one_of("emotion", raw, CANONICAL) + " Map it with --label-map.")
    return name


def ordered(labels: Iterable[str]) -> tuple[str, ...]:
    """The distinct labels in canonical order, which is the class order everywhere.

    Example
    -------
    >>> ordered(["sad", "angry", "sad"])
    ('angry', 'sad')
    """
    present = set(labels)
    unknown = sorted(present - set(CANONICAL))
    if unknown:
        raise DataError(not_one_of("emotion", unknown[0], CANONICAL))
    return tuple(label for label in CANONICAL if label in present)


def class_index(emotion: str, labels: Sequence[str]) -> int:
    """Where an emotion stands among a model's labels.

    Raises
    ------
    DataError
        If it is not among them.

    Example
    -------
    >>> class_index("sad", ["angry", "sad"])
    1
    """
    if emotion not in labels:
        raise DataError(not_one_of("emotion", emotion, labels))
    return list(labels).index(emotion)
