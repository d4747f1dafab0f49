"""What `emorec predict` does: names in, answers out, failures last."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from typing import Any

from tqdm import tqdm

from emorec_lobes.errors import ConfigError, DataError, not_one_of
from emorec_lobes.inference.answer_rows import FORMATS, TIMELINE_FORMATS, AnswerFile, header, written
from emorec_lobes.inference.answering import Asking, Item
from emorec_lobes.inference.listing import listed, read_list
from emorec_lobes.inference.predicting_groups import Wanted, answers_of_groups
from emorec_lobes.inference.prediction import Question
from emorec_lobes.inference.recognizer import EmotionRecognizer
from emorec_lobes.inference.shipped import shipped_model
from emorec_lobes.scale.cluster import check_engine

EXIT_SOME_FAILED = 1


def predict_files(
    audio: Sequence[str],
    model: str | None,
    options: Mapping[str, Any],
    list_file: Path | None = None,
    texts: Sequence[str] | None = None,
    windows: Mapping[str, float] | None = None,
    form: str = "table",
    labels: Sequence[str] | None = None,
    threshold: float | None = None,
    to: Path | None = None,
    engine: str = "local",
    jobs: int | None = None,
) -> int:
    """Answers for files, one line each as they come.

    Arguments
    ---------
    audio : sequence of str
        Files, folders and patterns; `-` stands for the names on stdin.
    model : str, optional
        As `EmotionRecognizer.from_hparams`; the one in the package if None.
    options : mapping
        Further ones of it.
    list_file : Path, optional
        More names, one a line.
    texts : sequence of str, optional
        One for each file, or without files.
    windows : mapping, optional
        Makes timelines: `window_s` and `shift_s`, where they are not the default.
    form : str
        One of `FORMATS`; of timelines, of `TIMELINE_FORMATS`.
    labels, threshold
        As `EmotionRecognizer.predict`.
    to : Path, optional
        The file that predictions are added to; stdout if None.
    engine : str
        `local`; or `ray`, which asks on all cores, or GPUs, of a Ray cluster whose machines find the files and the
        model where this one does.
    jobs : int, optional
        Processes; this one alone if None, on Ray as many as there is room for.

    Returns
    -------
    int
        0, or 1 if a file failed; each is one line on stderr then.

    Raises
    ------
    EmorecError
        If the model or an option cannot be used.
    """
    _check(form, texts, windows, to, engine, jobs)
    items = _items(audio, list_file, texts)
    model = str(model or shipped_model())
    is_alone = engine == "local" and jobs in (None, 1)
    here = options if is_alone else {**options, "device": "cpu"}  # it is the others that need the GPUs
    recognizer = EmotionRecognizer.from_hparams(model, **here)
    question = Question(recognizer.labels, labels=labels, threshold=threshold)  # told now, not after the first file
    failed: list[str] = []
    with ExitStack() as stack:
        stream = sys.stdout
        if to is not None:
            file = AnswerFile(to, form, question.asked)
            items = [item for item in items if (item[0] or item[1]) not in file.done]
            stream = stack.enter_context(file.open())
        else:
            stream.write(header(form, question.asked, windows is not None))
        bar = stack.enter_context(tqdm(total=len(items), disable=None, file=sys.stderr, unit="file", leave=False))
        if is_alone:
            answers = _here(Asking(recognizer, labels, threshold, options["batch_size"], failed), items, form, windows)
        else:
            pairs = None if windows is None else tuple(windows.items())
            named = None if labels is None else tuple(labels)
            wanted = Wanted(model, tuple(options.items()), form, named, threshold, pairs)
            answers = _elsewhere(wanted, items, jobs or 0, engine, failed)
        for text in answers:
            bar.clear()
            stream.write(text)
            stream.flush()
            bar.update()
    for line in failed:
        print(f"emorec: {line}", file=sys.stderr)
    return EXIT_SOME_FAILED if failed else 0


def _here(asking: Asking, items: Sequence[Item], form: str, windows: Mapping[str, float] | None) -> Iterator[str]:
    files = [file for file, _ in items]
    answers = asking.predictions(items) if windows is None else asking.timelines(files, **windows)
    return (written(form, name, answer) for name, answer in answers)


def _elsewhere(wanted: Wanted, items: Sequence[Item], jobs: int, engine: str, failed: list[str]) -> Iterator[str]:
    for texts, lines in answers_of_groups(wanted, items, jobs, engine):
        yield from texts
        failed += lines


def _check(
    form: str,
    texts: Sequence[str] | None,
    windows: Mapping[str, float] | None,
    to: Path | None,
    engine: str,
    jobs: int | None,
) -> None:
    check_engine(engine)
    if jobs is not None and jobs < 1:
        raise ConfigError(f"`--jobs` must be 1 or more, but is {jobs} instead. Leave it out for one process.")
    forms = FORMATS if windows is None else TIMELINE_FORMATS
    if form not in forms:
        raise ConfigError(not_one_of("format", form, forms))
    if windows is not None and (to is not None or texts):
        raise ConfigError("`--timeline` must stand without --to and --text. Redirect its output to a file.")


def _items(audio: Sequence[str], list_file: Path | None, texts: Sequence[str] | None) -> list[Item]:
    """Each file with its text, if there are any."""
    names = [name for word in audio for name in (read_list(sys.stdin) if word == "-" else [word])]
    if list_file is not None:
        try:
            names += read_list(list_file.read_text(encoding="utf-8").splitlines())
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{list_file} must be a list of files, but cannot be read ({error}). Mend it.") from None
    files = list(listed(names))
    if not files and not texts:
        raise ConfigError("Some audio or `--text` must be given, but none is. Name files, folders or patterns.")
    if files and texts and len(files) != len(texts):
        raise ConfigError(f"`--text` must be one for each of {len(files)} files, but is {len(texts)}. Give as many.")
    return list(zip_longest(files, texts or []))
