"""Parts of a Markdown file that are generated: what stands between `<!-- results:NAME:begin -->` and its end."""

import re
from pathlib import Path

from emorec_lobes.errors import ConfigError

_BLOCK = r"(<!-- results:{name}:begin -->\n)(.*?)(<!-- results:{name}:end -->)"
_NAME = r"[\w-]+"


def blocks(text: str) -> dict[str, str]:
    """The generated parts of a text by name.

    Example
    -------
    >>> blocks("<!-- results:emodb:begin -->\\nNo results yet.\\n<!-- results:emodb:end -->")
    {'emodb': 'No results yet.\\n'}
    """
    names = dict.fromkeys(re.findall(rf"<!-- results:({_NAME}):(?:begin|end) -->", text))
    return {name: _find(text, name, "The text").group(2) for name in names}


def replaced(path: Path, name: str, content: str) -> str:
    """The text of a file with other content in one of its generated parts; the file itself stays.

    Raises
    ------
    ConfigError
        If the file is missing, or does not have the two marks, each on a line and once, in this order.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path} must be a Markdown file, but is missing. Name an existing one with --into.")
    text = path.read_text(encoding="utf-8")
    found = _find(text, name, str(path))
    return text[: found.start(2)] + content + text[found.end(2) :]


def _find(text: str, name: str, where: str) -> re.Match[str]:
    marks = [f"<!-- results:{name}:{side} -->" for side in ("begin", "end")]
    found = re.search(_BLOCK.format(name=re.escape(name)), text, re.DOTALL)
    if found is None or any(text.count(mark) != 1 for mark in marks):
        raise ConfigError(f"{where} must have `{marks[0]}` and, below it, `{marks[1]}`, once each. Add the two lines.")
    return found
