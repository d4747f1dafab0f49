"""English spelling -> ARPAbet by rule, for words that a pronouncing dictionary lacks. Rough, but always something."""

import re

# Goes up whenever a word's pronunciation changes.
PRONUNCIATION_VERSION = 1

# Spellings in the order they are tried; ^ and $ are the word's ends, (?=...) what has to follow.
_RULES = tuple(
    (re.compile(spelling), phones.split())
    for spelling, phones in (
        *(("^kn", "N"), ("^wr", "R"), ("^ps", "S"), ("^x", "Z"), ("^y", "Y"), ("^gn", "N"), ("^mc", "M AH K")),
        *(("tion", "SH AH N"), ("ssion", "SH AH N"), ("sion", "ZH AH N"), ("cia", "SH AH"), ("ture$", "CH ER")),
        *(("ough", "AO"), ("augh", "AO"), ("eigh", "EY"), ("igh", "AY"), ("ies$", "IY Z"), ("ied$", "IY D")),
        *(("tch", "CH"), ("dge", "JH"), ("sch", "SH"), ("ch", "CH"), ("sh", "SH"), ("th", "TH"), ("ph", "F")),
        *(("wh", "W"), ("ck", "K"), ("ng$", "NG"), ("ng(?=[sk])", "NG"), ("nk", "NG K"), ("qu", "K W")),
        *(
            ("gh", "G"),
            ("mb$", "M"),
            ("mn$", "M"),
            ("(?<=[dt])ed$", "AH D"),
            ("ed$", "D"),
            ("es$", "Z"),
            ("(?<=[bcdfgkpstz])le$", "AH L"),
            ("ous$", "AH S"),
            ("ey$", "IY"),
        ),
        *(("ee", "IY"), ("ea", "IY"), ("ie", "IY"), ("ei", "AY"), ("eu", "UW"), ("ew", "UW"), ("ue$", "UW")),
        *(("oo", "UW"), ("ou", "AW"), ("ow", "OW"), ("oa", "OW"), ("oi", "OY"), ("oy", "OY"), ("ai", "EY")),
        *(("ay", "EY"), ("au", "AO"), ("aw", "AO"), ("ar", "AA R"), ("or", "AO R"), ("[eiu]r", "ER")),
        # A vowel before one consonant and a last e is long, and that e is silent.
        *(("a(?=[^aeiou]e$)", "EY"), ("i(?=[^aeiou]e$)", "AY"), ("o(?=[^aeiou]e$)", "OW"), ("u(?=[^aeiou]e$)", "UW")),
        *(("a$", "AH"), ("i$", "IY"), ("o$", "OW"), ("(?<=[a-z])e$", ""), ("y", "IY"), ("c(?=[eiy])", "S")),
        *(("g(?=[eiy])", "JH"), ("x", "K S"), ("(?<=[bdgklmnrv])s$", "Z")),
        *(("b+", "B"), ("c+", "K"), ("d+", "D"), ("f+", "F"), ("g+", "G"), ("h", "HH"), ("j", "JH"), ("k+", "K")),
        *(("l+", "L"), ("m+", "M"), ("n+", "N"), ("p+", "P"), ("q", "K"), ("r+", "R"), ("s+", "S"), ("t+", "T")),
        *(("v+", "V"), ("w", "W"), ("z+", "Z"), ("a", "AE"), ("e", "EH"), ("i", "IH"), ("o", "AA"), ("u", "AH")),
    )
)


def pronounce(word: str) -> list[str]:
    """Guesses the phones of a word.

    Arguments
    ---------
    word : str
        Any case; what is not a letter from a to z is passed by.

    Returns
    -------
    list of str
        ARPAbet phones without stress; at least one, `AH` where there is nothing to go by.

    Example
    -------
    >>> pronounce("blick"), pronounce("Flane"), pronounce("Zog's")
    (['B', 'L', 'IH', 'K'], ['F', 'L', 'EY', 'N'], ['Z', 'AA', 'G', 'Z'])
    """
    letters = "".join(letter for letter in word.lower() if "a" <= letter <= "z")
    phones: list[str] = []
    place = 0
    while place < len(letters):
        matches = ((spelling.match(letters, place), said) for spelling, said in _RULES)
        match, said = next((match, said) for match, said in matches if match)
        phones += said
        place = match.end()
    return phones or ["AH"]
