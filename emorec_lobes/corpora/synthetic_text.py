"""What is said in the synthetic corpus, and what its raters hear in it.

Words carry emotion the way they do in life, often and not always: some sentences fit every emotion, a few turn up
with the wrong one.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ACTED = ("ang", "neu", "hap", "sad", "exc", "fru", "sur")

# The order makes a deck that is cut off anywhere about balanced over the four classes, happy and excited being one.
_DECK = (
    *("ang", "neu", "hap", "sad", "ang", "neu", "exc", "sad", "fru"),
    *("ang", "neu", "hap", "sad", "sur", "ang", "neu", "exc", "sad"),
)

_SENTENCES = {
    "ang": (
        "I told you not to touch my {thing}.",
        "You lied to me again, {name}.",
        "Get out of my {place} right now.",
        "You never listen to a single word I say.",
        "How dare you blame {name} for this mess?",
        "Do not walk away from me.",
        "I am sick of waiting for your excuses.",
        "Who gave you the right to open my {thing}?",
        "I hate this {thing}.",
        "This is the third time you ruined it.",
        "Stop it, I have had enough of you.",
        "That is a lie and you know it.",
    ),
    "neu": (
        "The {thing} is on the table in the {place}.",
        "I think {name} comes on Tuesday.",
        "You fill in this form.",
        "We can take the bus to the {place}.",
        "It takes about an hour by train.",
        "My number is four seven two nine.",
        "I live two blocks from the {place}.",
        "They moved the meeting to the {place}.",
        "{name} works there as well.",
        "You need a copy of the {thing}.",
        "The line for the {place} starts over there.",
        "It is the second door.",
    ),
    "hap": (
        "We won, I can hardly believe it.",
        "{name} said yes, we are getting married.",
        "I love this {thing}.",
        "This is the best {thing} I ever had.",
        "I am so glad that you came.",
        "What a wonderful day this was.",
        "Guess what, I got into the school.",
        "Your {thing} looks great on you.",
        "We had so much fun in the {place}.",
        "That was the funniest thing I ever saw.",
        "Thank you, it is perfect.",
        "{name} is having a baby.",
    ),
    "sad": (
        "I miss {name} every single day.",
        "She died before I could say goodbye.",
        "I lost everything in that {place}.",
        "I do not know how to go on without her.",
        "It hurts to see the empty {place}.",
        "I feel so alone here.",
        "He left me and took the {thing}.",
        "There is nothing left to hope for.",
        "I cannot stop crying about {name}.",
        "I wish I had one more day with him.",
        "It is all my fault, I am sorry.",
        "They buried {name} last winter.",
    ),
    "any": (
        "What do you want me to do now?",
        "I talked to {name} on the phone yesterday.",
        "I do not know what you mean.",
        "Did you see the {thing} in the {place}?",
        "You said that {name} would be here.",
        "So that is how it is.",
        "I was in the {place} the whole time.",
        "Let me tell you about the {thing}.",
        "Are you going back to {name}?",
        "We have been here for an hour.",
        "I did not think it would end like this.",
        "Well, what did {name} say?",
    ),
}
_FILLERS = {
    "name": ("Anna", "Peter", "Laura", "David", "Susan", "Michael", "Helen", "George"),
    "thing": ("letter", "ring", "jacket", "camera", "ticket", "guitar", "phone", "book"),
    "place": ("kitchen", "office", "garden", "station", "hospital", "hallway", "theater", "harbor"),
}
_POOL_OF = {"exc": "hap", "fru": "ang", "sur": "any"}
_OWN_WORDS, _ANY_WORDS = 0.60, 0.30  # the rest says what fits another emotion

_IN_WORDS = {
    "ang": "Anger",
    "neu": "Neutral",
    "hap": "Happiness",
    "sad": "Sadness",
    "exc": "Excited",
    "fru": "Frustration",
    "sur": "Surprise",
    "oth": "Other",
}
_MISHEARD_AS = {
    "ang": ("fru", "ang", "neu"),
    "neu": ("fru", "sad", "neu"),
    "hap": ("exc", "neu", "hap"),
    "sad": ("neu", "fru", "oth"),
    "exc": ("hap", "sur", "hap"),
    "fru": ("ang", "neu", "sad"),
    "sur": ("exc", "neu", "oth"),
}
_MISHEARD = 0.12
_ALSO_TICKED = 0.10
_VALENCE_ACTIVATION_DOMINANCE = {
    "ang": (1.8, 4.0, 4.0),
    "neu": (3.0, 2.5, 3.0),
    "hap": (4.2, 3.4, 3.2),
    "sad": (1.9, 1.9, 2.2),
    "exc": (4.3, 4.2, 3.6),
    "fru": (2.2, 3.2, 3.3),
    "sur": (3.2, 3.6, 2.8),
}
CATEGORY_RATERS = ("C-E2", "C-E3", "C-E4")
ATTRIBUTE_RATERS = ("A-E3", "A-E4")


@dataclass(frozen=True)
class Ratings:
    """What the raters of one turn said, and the label that follows from it."""

    label: str  # what most raters ticked, xxx if there is no such thing
    categories: tuple[tuple[str, ...], ...]  # of each of CATEGORY_RATERS
    attributes: tuple[tuple[int, int, int], ...]  # valence, activation, dominance of each of ATTRIBUTE_RATERS


def deck(num_turns: int, generator: np.random.Generator) -> list[str]:
    """The emotions to act in `num_turns` turns, about balanced, shuffled."""
    repeated = [_DECK[turn % len(_DECK)] for turn in range(num_turns)]
    return [repeated[place] for place in generator.permutation(num_turns)]


def draw_sentence(acted: str, generator: np.random.Generator) -> str:
    """A sentence for an acted emotion.

    Example
    -------
    >>> draw_sentence("sad", np.random.default_rng(1))
    'I wish I had one more day with him.'
    """
    pool = own = _POOL_OF.get(acted, acted)
    chance = generator.random()
    if chance > _OWN_WORDS:
        others = [name for name in ("ang", "neu", "hap", "sad") if name != own]
        pool = "any" if chance < _OWN_WORDS + _ANY_WORDS else _choice(others, generator)
    sentence = _choice(_SENTENCES[pool], generator)
    return sentence.format(**{slot: _choice(words, generator) for slot, words in _FILLERS.items()})


def rate(acted: str, generator: np.random.Generator) -> Ratings:
    """Raters who mostly hear what was acted; each errs on their own.

    Example
    -------
    >>> rate("ang", np.random.default_rng(1)).categories
    (('Anger',), ('Anger',), ('Anger',))
    """
    ticked = [_heard(acted, generator) for _ in CATEGORY_RATERS]
    votes = Counter(name for names in ticked for name in names).most_common()
    clear = votes[0][1] >= 2 and (len(votes) == 1 or votes[0][1] > votes[1][1])
    centre = np.array(_VALENCE_ACTIVATION_DOMINANCE[acted])
    attributes = tuple(
        tuple(int(value) for value in np.clip(np.rint(centre + generator.normal(0, 0.6, 3)), 1, 5))
        for _ in ATTRIBUTE_RATERS
    )
    categories = tuple(tuple(_IN_WORDS[name] for name in names) for names in ticked)
    return Ratings(votes[0][0] if clear else "xxx", categories, attributes)


def _heard(acted: str, generator: np.random.Generator) -> tuple[str, ...]:
    """What one rater ticks: one emotion, sometimes two."""
    first = _choice(_MISHEARD_AS[acted], generator) if generator.random() < _MISHEARD else acted
    second = _choice(_MISHEARD_AS[acted], generator)
    return (first, second) if generator.random() < _ALSO_TICKED and second != first else (first,)


def _choice(items: Sequence[str], generator: np.random.Generator) -> str:
    return items[int(generator.integers(len(items)))]
