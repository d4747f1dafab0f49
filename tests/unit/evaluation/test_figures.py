import os
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread

from emorec_lobes.errors import DataError
from emorec_lobes.evaluation import figures
from emorec_lobes.evaluation.comparison import compare
from emorec_lobes.evaluation.report import results_record


@pytest.fixture
def drawn(monkeypatch):
    """The figures that would have been saved, laid out."""
    kept: list[Figure] = []

    def keep(figure, path):
        FigureCanvasAgg(figure).draw()
        kept.append(figure)

    monkeypatch.setattr(figures, "save_figure", keep)
    return kept


def training_rows(valid=True):
    return [
        {
            "update": update,
            "train": {"loss": 2 / update, "emotion": 1 / update, "mel_first": 0.5 / update, "mel": 0.4 / update},
            "valid": {"loss": 1.0, "uar": 0.5 + update / 1000, "accuracy": 0.6} if valid else None,
            "lr": 1e-4,
        }
        for update in (100, 200, 300)
    ]


def mels(num_frames=51):
    generator = np.random.default_rng(0)
    return generator.random((num_frames, 80)), generator.random((num_frames, 80)) * 0.5


def draw_all(folder, answers):
    figures.confusion_figure(results_record(answers(), {"corpus": "emodb"}, {}), folder / "confusion.png")
    figures.training_curves(training_rows(), folder / "training.png", chosen_update=200)
    figures.layer_weights_figure(np.full(25, 0.04), folder / "layers.png")
    figures.mel_figure(*mels(), folder / "mel.png", "one utterance")


def test_every_figure_is_a_png_of_readable_size_and_equal_input_gives_equal_files(tmp_path, answers):
    draw_all(tmp_path / "first", answers)
    draw_all(tmp_path / "second", answers)
    names = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert names == ["confusion.png", "layers.png", "mel.png", "training.png"]
    for name in names:
        height, width, _ = imread(tmp_path / "first" / name).shape
        assert min(height, width) >= 400
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_no_ink_touches_the_edge_of_a_picture(tmp_path, answers):
    long_title = "a run whose name is much longer than the picture is wide, " * 3
    draw_all(tmp_path, answers)
    figures.layer_weights_figure([0.5, 0.5], tmp_path / "titled.png", long_title)
    for path in tmp_path.iterdir():
        picture = imread(path)[..., :3]
        edges = (picture[:8], picture[-8:], picture[:, :8], picture[:, -8:])
        assert all((edge == 1).all() for edge in edges), path.name


def test_the_confusion_figure_shows_counts_shares_and_scores(drawn, answers, tmp_path):
    record = results_record(answers(), {"corpus": "synthetic"}, {})
    figures.confusion_figure(record, tmp_path / "c.png")
    axes = drawn[0].axes[0]
    assert axes.get_title() == f"synthetic corpus: UAR {record['uar']:.3f}, n = 120"
    shown = [text.get_text() for text in axes.texts]
    counts = np.array(record["confusion"])
    expected = []
    for row in counts:
        for count in row:
            expected += [f"{count / row.sum():.0%}", str(count)]
    assert shown == expected
    shares = axes.images[0].get_array()
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_the_text_of_a_cell_stands_out_from_its_shade_also_in_grey(drawn, answers, tmp_path):
    record = results_record(answers(600, num_classes=2), {}, {})
    for hits in range(0, 101, 5):
        figures.confusion_figure(record | {"confusion": [[hits, 100 - hits], [0, 100]]}, tmp_path / "c.png")
        axes = drawn[-1].axes[0]
        shade = axes.images[0].to_rgba(hits / 100)[:3]
        linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in shade]
        luminance = np.dot([0.2126, 0.7152, 0.0722], linear)
        ink = {"white": 1.0, "black": 0.0}[axes.texts[0].get_color()]
        contrast = (max(ink, luminance) + 0.05) / (min(ink, luminance) + 0.05)
        assert contrast > 4.5, hits  # WCAG's limit for text


def test_shades_of_the_confusion_figure_only_get_darker_in_grey(drawn, answers, tmp_path):
    figures.confusion_figure(results_record(answers(), {}, {}), tmp_path / "c.png")
    colors = drawn[0].axes[0].images[0].to_rgba(np.linspace(0, 1, 21))[:, :3]
    grey = colors @ [0.2126, 0.7152, 0.0722]
    assert all(lighter > darker for lighter, darker in pairwise(grey))


def test_names_of_thirteen_classes_do_not_run_into_each_other(drawn, answers, tmp_path):
    figures.confusion_figure(results_record(answers(400, num_classes=13), {}, {}), tmp_path / "c.png")
    cells = [text.get_window_extent() for text in drawn[0].axes[0].texts]
    assert not any(left.overlaps(right) for left, right in pairwise(cells))
    # Slanted names may overlap as boxes, not as baselines.
    names = [label.get_window_extent() for label in drawn[0].axes[0].get_yticklabels()]
    assert not any(left.overlaps(right) for left, right in pairwise(names))


def test_training_curves_have_the_losses_on_a_log_axis_and_validation_beside_them(drawn, tmp_path):
    figures.training_curves(training_rows(), tmp_path / "t.png", chosen_update=200, title="ser_demo")
    losses, validation = drawn[0].axes
    assert losses.get_yscale() == "log"
    curves = {line.get_label(): list(line.get_ydata()) for line in losses.lines}
    assert curves["total"] == pytest.approx([0.02, 0.01, 2 / 300])
    assert set(curves) == {"total", "emotion", "mel, first estimate", "mel, final", "chosen: update 200"}
    scores = {line.get_label(): list(line.get_ydata()) for line in validation.lines}
    assert scores["UAR"] == pytest.approx([0.6, 0.7, 0.8])
    for axes in (losses, validation):
        chosen = next(line for line in axes.lines if line.get_label().startswith("chosen"))
        assert list(chosen.get_xdata()) == [200, 200]


def test_curves_are_told_apart_without_colour(drawn, tmp_path):
    figures.training_curves(training_rows(), tmp_path / "t.png")
    styles = [line.get_linestyle() for line in drawn[0].axes[0].lines]
    assert len(set(styles)) == len(styles) == 4


def test_a_run_without_validation_has_one_panel_and_no_mark(drawn, tmp_path):
    figures.training_curves(training_rows(valid=False), tmp_path / "t.png")
    (losses,) = drawn[0].axes
    assert not any(line.get_label().startswith("chosen") for line in losses.lines)


def test_losses_that_reach_zero_or_stop_being_numbers_stay_on_a_linear_axis(drawn, tmp_path):
    for value in (0.0, -1.0, float("nan")):
        rows = [{"update": 1, "train": {"loss": value}, "valid": None}]
        figures.training_curves(rows, tmp_path / "t.png")
        assert drawn[-1].axes[0].get_yscale() == "linear"


def test_layer_weights_are_bars_beside_equal_shares(drawn, tmp_path):
    figures.layer_weights_figure([0.1, 0.2, 0.7], tmp_path / "l.png", "layers of ser_demo")
    axes = drawn[0].axes[0]
    assert [bar.get_height() for bar in axes.patches] == pytest.approx([0.1, 0.2, 0.7])
    assert axes.lines[0].get_ydata()[0] == pytest.approx(1 / 3)
    assert axes.get_title() == "layers of ser_demo"


def test_both_mels_share_one_scale_and_stand_on_seconds(drawn, tmp_path):
    target, reconstructed = mels(num_frames=51)
    figures.mel_figure(target, reconstructed, tmp_path / "m.png", "one $utterance$")
    left, right = (axes.images[0] for axes in drawn[0].axes[:2])
    assert left.get_clim() == right.get_clim() == (min(target.min(), reconstructed.min()), target.max())
    assert left.get_extent() == pytest.approx([-0.01, 1.01, -0.5, 79.5])  # frame 50 is centred on 1 s
    np.testing.assert_array_equal(left.get_array(), target.T)
    assert len(drawn[0].axes) == 3, "two panels and one colour bar"


def test_what_cannot_be_drawn_is_refused_in_one_line_and_leaves_no_file(tmp_path):
    path = tmp_path / "broken.png"
    target, reconstructed = mels()
    for draw in (
        lambda: figures.training_curves([], path),
        lambda: figures.layer_weights_figure([[0.5, 0.5]], path),
        lambda: figures.mel_figure(target, reconstructed[:-1], path, "shorter"),
    ):
        with pytest.raises(DataError) as caught:
            draw()
        assert "broken.png" in str(caught.value) and "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_picture_cut_short_keeps_the_old_one_and_leaves_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "layers.png"
    figures.layer_weights_figure([0.5, 0.5], path)
    before = path.read_bytes()

    def cut_short(descriptor):
        os.ftruncate(descriptor, 4)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", cut_short)
    with pytest.raises(OSError, match="No space"):
        figures.layer_weights_figure([0.1, 0.9], path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["layers.png"]
    assert path.read_bytes() == before


def test_the_forest_figure_shows_each_systems_mean_interval_and_seeds(drawn, two_systems, tmp_path):
    table = compare([two_systems], two_systems / "plain")
    figures.forest_figure(table, tmp_path / "f.png")
    axes = drawn[0].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ser_small", "ser_small --refit\u00a0True"]
    lines = [[tuple(map(float, xy)) for xy in line.get_xydata()] for line in axes.lines]
    for place, row in enumerate(table.rows):
        assert [(row.score, place)] in lines
        assert [(row.band["low"], place), (row.band["high"], place)] in lines
        assert [(score, place) for score in row.system.scores("uar")] in lines
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the first row stands on top"
    assert any(f"{table.rows[1].score:.3f}" in text.get_text() for text in axes.texts)
