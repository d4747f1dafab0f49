"""Figures of a probed network show each utterance in its place, and each share on the scale from 0 to 1."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.image import imread
from sklearn.decomposition import PCA

from emorec_lobes.errors import DataError
from emorec_lobes.evaluation import figures_probe
from emorec_lobes.evaluation.projection import pca, standardiser, tsne

LABELS = ("angry", "sad")


@pytest.fixture
def drawn(monkeypatch):
    """The figures that would have been saved, laid out."""
    kept = []

    def keep(figure, path):
        FigureCanvasAgg(figure).draw()
        kept.append(figure)

    monkeypatch.setattr(figures_probe, "save_figure", keep)
    return kept


def panels(*names, num_utterances=12):
    generator = np.random.default_rng(1)
    return {name: generator.standard_normal((num_utterances, 2)) for name in names}


def draw(folder, number=4):
    emotions, speakers = ["angry", "sad"] * 6, [1, 2, 3] * 4
    shown = panels(*(f"stage4 {part}" for part in ("F", "IN(F)", "F+", "F-")[:number]))
    figures_probe.embedding_figure(shown, emotions, speakers, LABELS, folder / "tsne.png", "t-SNE")
    return shown, emotions, speakers


def shares(*sizes):
    generator = np.random.default_rng(2)
    return {f"stage{number}": generator.random(size) for number, size in enumerate(sizes, start=1)}


def test_every_utterance_is_its_speakers_number_in_its_emotions_colour_at_its_place(drawn, tmp_path):
    shown, emotions, speakers = draw(tmp_path)
    [figure] = drawn
    titled = {axes.get_title(): axes for axes in figure.axes}
    assert list(titled) == list(shown)
    for name, places in shown.items():
        texts = titled[name].texts
        assert [text.get_text() for text in texts] == [str(number) for number in speakers]
        np.testing.assert_allclose([text.get_position() for text in texts], places)
        colors = {
            label: {to_hex(text.get_color()) for text, each in zip(texts, emotions, strict=True) if each == label}
            for label in LABELS
        }
        assert all(len(each) == 1 for each in colors.values()) and colors["angry"] != colors["sad"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(LABELS)


def test_equal_input_gives_equal_files_of_readable_size(tmp_path):
    for folder in ("first", "second"):
        draw(tmp_path / folder, number=1)
        figures_probe.attention_figure(np.ones((50, 41)), shares((8, 3, 4)), tmp_path / folder / "a.png", "one", 10.0)
    for name in ("tsne.png", "a.png"):
        assert min(imread(tmp_path / "first" / name).shape[:2]) >= 400
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_a_panel_of_other_utterances_is_refused(tmp_path):
    with pytest.raises(DataError, match="one place an utterance"):
        figures_probe.embedding_figure(panels("F"), ["sad"] * 11, [1] * 11, LABELS, tmp_path / "x.png", "t")
    assert not list(tmp_path.iterdir())


def test_the_attention_stands_beside_its_input_over_the_same_seconds_on_one_scale(drawn, tmp_path):
    spectrogram, maps = np.random.default_rng(3).random((150, 41)), shares((6, 5, 19), (8, 3, 10))
    maps["stage1"][4] = np.arange(95).reshape(5, 19) % 2  # the channel that moves most
    figures_probe.attention_figure(spectrogram, maps, tmp_path / "x.png", "one", hop_ms=10.0)
    images = {axes.get_title(): axes.images[0] for axes in drawn[0].axes if axes.images and axes.get_title()}
    np.testing.assert_allclose(images["input"].get_array(), spectrogram.T)
    for position, share in maps.items():
        mean = images[f"{position}: mean of {len(share)} channels"]
        np.testing.assert_allclose(mean.get_array(), share.mean(axis=0))
        assert mean.get_clim() == (0.0, 1.0)
    assert {tuple(image.get_extent()[:2]) for image in images.values()} == {(0.0, 1.5)}
    np.testing.assert_allclose(images["channel 5"].get_array(), maps["stage1"][4])


@pytest.mark.parametrize("maps", [{}, {"conv5": np.ones((3, 4))}, {"conv5": np.ones((0, 3, 4))}])
def test_without_attention_there_is_no_picture(tmp_path, maps):
    with pytest.raises(DataError, match="`shares` must be a map"):
        figures_probe.attention_figure(np.ones((50, 41)), maps, tmp_path / "x.png", "one", 10.0)


def test_the_principal_components_are_sklearns_of_standardised_columns():
    rows = np.random.default_rng(4).standard_normal((20, 6)) * [1, 2, 3, 4, 5, 6]
    scaled = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    np.testing.assert_allclose(np.abs(pca(rows)), np.abs(PCA(2).fit_transform(scaled)), atol=1e-8)


def test_two_clusters_stay_apart_in_both_projections():
    generator = np.random.default_rng(5)
    rows = generator.standard_normal((30, 8)) + 20 * np.repeat([0, 1], 15)[:, None]
    for project in (pca, tsne):
        places = project(rows)
        middle = places[:15].mean(axis=0), places[15:].mean(axis=0)
        nearest = [np.argmin([np.linalg.norm(place - each) for each in middle]) for place in places]
        assert nearest == [0] * 15 + [1] * 15, project.__name__


@pytest.mark.parametrize("project", [pca, tsne])
def test_vectors_that_are_all_alike_can_be_drawn(project):
    assert np.isfinite(project(np.ones((9, 3)))).all()


def test_what_is_standardised_has_mean_0_and_deviation_1_of_the_fitted_rows():
    generator = np.random.default_rng(6)
    rows, others = generator.random((50, 3)), generator.random((5, 3))
    rows[:, 1], others[:, 1] = 0.5, 0.7
    scale = standardiser(rows)
    np.testing.assert_allclose(scale(rows).std(axis=0), [1, 0, 1])
    np.testing.assert_allclose(scale(others)[:, 2], (others[:, 2] - rows[:, 2].mean()) / rows[:, 2].std())
    assert (scale(others)[:, 1] == 0).all()
