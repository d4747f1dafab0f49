"""Names in the order in which people read them."""

import re


def natural(name: str) -> list[str | int]:
    """A sort key that puts 2 before 10.

    Example
    -------
    >>> sorted(["s10", "s9", "2"], key=natural)
    ['2', 's9', 's10']
    """
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
