"""The fixed table of 128 phone ids that the phone encoder reads.

| ids | meaning |
|---|---|
| 0 | silence |
| 1 | unknown: no alignment, a word that was not found, a label that is none of these |
| 2-5 | the bracket tokens LAUGHTER, BREATHING, GARBAGE, LIPSMACK |
| 6-44 | the 39 ARPAbet phones inside a word |
| 45-81 | 37 that begin a word: all but NG and ZH |
| 82-115 | 34 that end a word: all but AE, IH, UH, W and Y |
| 116-127 | 12 that are a word: AA AH AO AW AY EH ER EY IY M OW UW |

A combination that has no id shares that of its nearest neighbour: a word of one phone that of a beginning, a beginning
or an end that of the inside. A phone whose place in the word is not known counts as inside.

Source: Makiuchi 2021, section 3.1, has 128 ids of the same kinds, in order of first appearance.
Deviates: the order is fixed, and a label that is not in the table is unknown instead of an error.
"""

import re

# Goes up whenever a label gets another id, so that stored phones are not mixed.
TABLE_VERSION = 1

NUM_PHONES = 128
SILENCE_ID, UNKNOWN_ID = 0, 1
SILENCE, UNKNOWN = "SIL", "UNKNOWN"
TOKENS = ("LAUGHTER", "BREATHING", "GARBAGE", "LIPSMACK")

ARPABET = (
    *("AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY"),
    *("F", "G", "HH", "IH", "IY", "JH", "K", "L", "M", "N", "NG", "OW", "OY"),
    *("P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH"),
)
INSIDE, BEGIN, END, SINGLE = "I", "B", "E", "S"

_NEVER_BEGINS = ("NG", "ZH")
_NEVER_ENDS = ("AE", "IH", "UH", "W", "Y")
_IS_A_WORD = ("AA", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IY", "M", "OW", "UW")
_NEAREST = {SINGLE: BEGIN, BEGIN: INSIDE, END: INSIDE}

_NAMES = (
    *(SILENCE, UNKNOWN, *TOKENS),
    *(f"{phone}_{INSIDE}" for phone in ARPABET),
    *(f"{phone}_{BEGIN}" for phone in ARPABET if phone not in _NEVER_BEGINS),
    *(f"{phone}_{END}" for phone in ARPABET if phone not in _NEVER_ENDS),
    *(f"{phone}_{SINGLE}" for phone in _IS_A_WORD),
)
_IDS = {name: number for number, name in enumerate(_NAMES)}
_SILENCES = ("", "SIL", "SP", "<SIL>", "<S>", "</S>", "<EPS>")
_PHONE = re.compile(r"(?P<phone>[A-Z]+)[0-2]?(?:_(?P<position>[BIES]))?")


def phone_id(label: str) -> int:
    """The id of a label.

    Arguments
    ---------
    label : str
        A phone such as `AE_B`, `ae_B`, `AE1` or `AE`; a silence such as `SIL`, `<sil>`, `sp` or nothing; a bracket
        token such as `[LAUGHTER]` or `++LAUGHTER++`. Case does not matter.

    Returns
    -------
    int
        0 to 127; `UNKNOWN_ID` for any other label.

    Example
    -------
    >>> phone_id("sil"), phone_id("++BREATHING++"), phone_id("AE1_B"), phone_id("AE"), phone_id("oov_S")
    (0, 3, 46, 7, 1)
    """
    label = label.strip().upper()
    if label in _SILENCES:
        return SILENCE_ID
    token = label.strip("+[]<>")
    if token in TOKENS:
        return _IDS[token]
    match = _PHONE.fullmatch(label)
    if match is None or match["phone"] not in ARPABET:
        return UNKNOWN_ID
    position = match["position"] or INSIDE
    while f"{match['phone']}_{position}" not in _IDS:
        position = _NEAREST[position]
    return _IDS[f"{match['phone']}_{position}"]


def phone_name(number: int) -> str:
    """The label an id stands for, e.g. to read an alignment by eye.

    Example
    -------
    >>> phone_name(46)
    'AE_B'
    """
    return _NAMES[number]


def in_word(phones: list[str]) -> list[str]:
    """The phones of one word with their positions.

    Example
    -------
    >>> in_word(["K", "AE", "T"]), in_word(["AY"])
    (['K_B', 'AE_I', 'T_E'], ['AY_S'])
    """
    if len(phones) == 1:
        return [f"{phones[0]}_{SINGLE}"]
    positions = [BEGIN, *[INSIDE] * (len(phones) - 2), END]
    return [f"{phone}_{position}" for phone, position in zip(phones, positions, strict=True)]
