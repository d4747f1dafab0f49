"""Small parts of a self-contained HTML page; all text is escaped here and nowhere else."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape

from emorec_lobes.evaluation.grids import Grid

# Whatever slips in, a browser loads nothing and runs nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --ground: #fff; --soft: #f3f4f6; --line: #c9ccd1; --bar: #a8cbe8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --ground: #15171a; --soft: #202328; --line: #454a52; --bar: #1f5580; }
  figure img { filter: invert(1) hue-rotate(180deg); }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1, h2, h3 { line-height: 1.2; }
h2 { margin-top: 2.5rem; border-top: 2px solid var(--line); padding-top: 1rem; }
a { color: inherit; }
a:focus-visible, .scroll:focus-visible { outline: 3px solid var(--bar); outline-offset: 2px; }
nav ul { columns: 16rem; padding-left: 1.2rem; }
.scroll { overflow-x: auto; margin: 1.2rem 0; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; overflow-wrap: break-word; }
caption { text-align: left; font-weight: 600; padding-bottom: .4rem; }
th, td { padding: .3rem .5rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { font-weight: 600; }
thead th { background: var(--soft); vertical-align: bottom; }
th { min-width: 4rem; max-width: 16rem; }
thead th.number { max-width: 11rem; }
td { min-width: 5rem; max-width: 16rem; }
tbody th { position: sticky; left: 0; background: var(--ground); }
.number { text-align: right; }
td.number { white-space: nowrap; max-width: none; }
td.bar { min-width: 11rem; padding-bottom: .6rem;
  background: linear-gradient(to right, var(--bar) var(--share), transparent 0) bottom / 100% .35rem no-repeat; }
td.shade { background: color-mix(in srgb, var(--bar) var(--share), transparent); }
figure { margin: 1.2rem 0; }
figure img { max-width: 100%; height: auto; }
figcaption, .note { font-size: .9rem; }
pre { background: var(--soft); padding: .8rem; white-space: pre-wrap; }
@media (max-width: 40rem) { table { font-size: .85rem; } td.bar, thead th.number { min-width: 5rem; max-width: 7rem; } }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .2rem 1rem; }
dt { font-weight: 600; }
dd { margin: 0; }
"""


def page(title: str, body: Sequence[str]) -> str:
    """A whole page; `body` is HTML, `title` is text."""
    head = [
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
    ]
    lines = ["<!DOCTYPE html>", '<html lang="en">', "<head>", *head, "</head>", "<body>", "<main>", *body]
    return "\n".join([*lines, "</main>", "</body>", "</html>"]) + "\n"


def heading(level: int, text: str, anchor: str = "") -> str:
    """A heading of level 1 to 3.

    Example
    -------
    >>> heading(2, "a < b", "speaker")
    '<h2 id="speaker">a &lt; b</h2>'
    """
    mark = f' id="{escape(anchor)}"' if anchor else ""
    return f"<h{level}{mark}>{escape(text)}</h{level}>"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph; `kind` is "" or "note"."""
    mark = f' class="{kind}"' if kind else ""
    return f"<p{mark}>{escape(text)}</p>"


def listing(texts: Sequence[str]) -> str:
    """A list of texts."""
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"


def contents(entries: Sequence[tuple[str, str]]) -> str:
    """A list of links to (anchor, text) of the same page."""
    links = "".join(f'<li><a href="#{escape(anchor)}">{escape(text)}</a></li>' for anchor, text in entries)
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>'


def definitions(entries: Sequence[tuple[str, str]]) -> str:
    """Names and what they are."""
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in entries) + "</dl>"


def code(text: str) -> str:
    """Text in lines as it stands."""
    return f"<pre><code>{escape(text)}</code></pre>"


def figure(svg: bytes, alt: str, caption: str) -> str:
    """A picture inside the page; `alt` says in words what it shows."""
    data = b64encode(svg).decode("ascii")
    image = f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(alt)}">'
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"


def table(grid: Grid) -> str:
    """A table with caption and headings; one that is too wide scrolls by itself, also by keyboard."""
    head = "".join(_cell(text, "th", 'scope="col"', place >= grid.num_texts) for place, text in enumerate(grid.head))
    rows = "".join(f"<tr>{_row(grid, place)}</tr>\n" for place in range(len(grid.rows)))
    inner = f"<caption>{escape(grid.caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>"
    label = escape(grid.caption)
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{label}"><table>{inner}</table></div>'


def _row(grid: Grid, row: int) -> str:
    first, *others = grid.rows[row]
    cells = [_cell(first, "th", 'scope="row"')]
    for column, text in enumerate(others, start=1):
        share = grid.shares.get((row, column))
        style = "" if share is None else f'style="--share:{share:.1%}"'
        drawn = "" if share is None else ("shade" if grid.is_matrix else "bar")
        cells.append(_cell(text, "td", style, column >= grid.num_texts, drawn))
    return "".join(cells)


def _cell(text: str, tag: str, marks: str, is_number: bool = False, drawn: str = "") -> str:
    kinds = " ".join(filter(None, ("number" if is_number else "", drawn)))
    words = " ".join(filter(None, (tag, f'class="{kinds}"' if kinds else "", marks)))
    return f"<{words}>{escape(text)}</{tag}>"
