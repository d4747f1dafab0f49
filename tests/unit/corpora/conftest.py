"""Miniature corpora, built file by file, and one way to ask for a refusal."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emorec_lobes.corpora.manifest import Utterance

HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"


def write_wav(path: Path, num_samples: int = 8_000, sample_rate_hz: int = 16_000, num_channels: int = 1) -> Path:
    """Writes noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(num_samples).uniform(-0.5, 0.5, (num_samples, num_channels))
    soundfile.write(path, noise, sample_rate_hz)
    return path


def write_dialog(root: Path, dialog: str, turns: Iterable[tuple[str, str]]) -> None:
    """Writes one dialog as the release has it, from (turn name without dialog, majority label)."""
    session = root / f"Session{dialog[4]}"
    blocks, lines = [HEADER], []
    for number, (turn, label) in enumerate(turns):
        name, start, stop = f"{dialog}_{turn}", 10.0 * number, 10.0 * number + 2
        blocks.append(
            f"[{start:.4f} - {stop:.4f}]\t{name}\t{label}\t[2.5000, 3.0000, 3.5000]\n"
            "C-E2:\tNeutral;\t()\n"
            "C-E3:\tFrustration; Anger;\t(tired; bored)\n"
            "C-E4:\tOther;\t(amused)\n"
            f"C-{turn[0]}1:\tNeutral;\t()\n"
            "A-E3:\tval 3; act 3; dom  4;\t()\n"
            f"A-{turn[0]}1:\tval 2; act 3; dom  ;\t()\n\n"
        )
        lines.append(f"{name} [{start:08.4f}-{stop:08.4f}]: Words of {turn}.\n")
        write_wav(session / "sentences/wav" / dialog / f"{name}.wav", 4_000 + 160 * number)
    for folder, text in (("EmoEvaluation", "".join(blocks)), ("transcriptions", "".join(lines))):
        path = session / "dialog" / folder / f"{dialog}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def make_wav() -> Callable[..., Path]:
    return write_wav


@pytest.fixture
def iemocap_tree(tmp_path: Path) -> Path:
    """Five sessions of nine turns: in each, 4 improvised and 3 scripted ones of the four classes (or excited)."""
    root = tmp_path / "IEMOCAP_full_release"
    for session in "12345":
        improvised = [("F000", "neu"), ("M000", "exc"), ("F001", "ang"), ("M001", "sad"), ("F002", "xxx")]
        scripted = [("F000", "hap"), ("MXX0", "neu"), ("F001", "fru"), ("M001", "exc")]
        write_dialog(root, f"Ses0{session}F_impro01", improvised)
        write_dialog(root, f"Ses0{session}M_script01_1", scripted)
    return root


@pytest.fixture
def emodb_tree(tmp_path: Path) -> Path:
    """Six files of EmoDB by name."""
    root = tmp_path / "emodb"
    for number, name in enumerate(("03a01Fa", "03a01Nc", "03a01Wa", "08b03Tb", "08b10Lb", "16a04Ec")):
        write_wav(root / "wav" / f"{name}.wav", 4_000 + 160 * number)
    return root


@pytest.fixture
def manifest() -> dict[str, Utterance]:
    """Five sessions of two speakers with two utterances each, in an order that mixes them; two folds of its own."""
    rows = {}
    for turn in "01":
        for session in "52341":
            for gender in "FM":
                name = f"x_Ses{session}{gender}_{turn}"
                rows[name] = Utterance(
                    id=name,
                    wav=f"{{data_root}}/{name}.wav",
                    duration=1.0,
                    emotion="sad",
                    raw_emotion="sad",
                    speaker=f"x_Ses{session}{gender}",
                    gender={"F": "female", "M": "male"}[gender],
                    session=session,
                    fold="10" if session == "1" else "9" if session == "2" else "b",
                )
    return rows


@pytest.fixture
def refusal() -> Callable[..., str]:
    """Calls what must be refused and gives the message, which is one line that ends in a sentence."""

    def ask(error: type[Exception], function: Callable, *args, **kwargs) -> str:
        with pytest.raises(error) as caught:
            function(*args, **kwargs)
        message = str(caught.value)
        assert "\n" not in message
        assert message.endswith((".", "?"))
        return message

    return ask
