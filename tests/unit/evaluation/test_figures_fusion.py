import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from emorec_lobes.evaluation import figures_fusion
from emorec_lobes.evaluation.calibration import reliability


@pytest.fixture
def drawn(monkeypatch):
    """The figures that would have been saved, laid out."""
    kept = []
    monkeypatch.setattr(figures_fusion, "save_figure", lambda figure, path: kept.append(figure))
    yield kept
    for figure in kept:
        FigureCanvasAgg(figure).draw()


def test_the_share_figure_has_a_panel_an_input_a_line_a_split_and_a_mark_a_fold(drawn, tmp_path):
    shares = np.linspace(0, 1, 5)
    curves = {name: {"validation": (shares, shares / 2), "test": (shares, 1 - shares)} for name in "abcd"}
    figures_fusion.share_figure(curves, tmp_path / "s.png", "emodb: grid", {"a": [0.25, 0.5]})
    assert len(drawn[0].axes) == 4
    lines = {line.get_label(): line for line in drawn[0].axes[0].lines}
    np.testing.assert_array_equal(lines["test"].get_ydata(), 1 - shares)
    assert lines["validation"].get_linestyle() != lines["test"].get_linestyle()
    assert lines["used in a fold"].get_xdata()[0] == 0.25
    assert drawn[0].axes[0].get_xlabel() == "share of a in the weights"
    assert drawn[0].get_suptitle() == "emodb: grid"


def test_the_reliability_figure_shows_accuracy_over_confidence_and_the_error(drawn, tmp_path):
    bins = reliability([[0.6, 0.4], [0.1, 0.9]], [0, 0], adaptive=True)
    figures_fusion.reliability_figure({"speech": {"as given": bins}}, tmp_path / "r.png", "emodb")
    (axes,) = drawn[0].axes
    diagonal, line = axes.lines
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata()) == [0, 1]
    assert list(line.get_xdata()) == [0.6, 0.9] and list(line.get_ydata()) == [1, 0]
    assert line.get_label() == f"as given, ECE {(0.4 + 0.9) / 2:.3f}"
