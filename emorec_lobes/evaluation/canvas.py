"""What all figures share: styles, an empty picture, and how it becomes a file."""

import io
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from emorec_lobes.files import write_atomically

# Okabe and Ito's colours, told apart by colour-blind readers; line styles tell them apart in grey.
STYLES = (
    ("#000000", "-"),
    ("#D55E00", "--"),
    ("#0072B2", "-."),
    ("#009E73", ":"),
    ("#CC79A7", (0, (5, 1, 1, 1, 1, 1))),
)
_DOTS_PER_INCH = 150


def lighten(axes: Axes) -> None:
    """Takes away what carries no information, and puts a grid behind."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.88")
    axes.set_axisbelow(True)


def blank_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure that no window system shows."""
    figure = Figure(figsize=(width_in, height_in), dpi=_DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Writes the PNG whole or not at all; without a version stamp, so that equal figures are equal files."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None}, bbox_inches="tight", pad_inches=0.15)
    write_atomically(path, content.getvalue())


def svg_of(figure: Figure) -> bytes:
    """The figure as an SVG picture on no ground; equal figures are equal bytes."""
    content = io.BytesIO()
    # Element names are drawn by chance without a salt.
    with rc_context({"svg.hashsalt": "emorec", "svg.fonttype": "path"}):
        figure.savefig(
            content,
            format="svg",
            metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")),
            transparent=True,
            bbox_inches="tight",
            pad_inches=0.05,
        )
    picture = content.getvalue()
    return picture[picture.index(b"<svg") :]
