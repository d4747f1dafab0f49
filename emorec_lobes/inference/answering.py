"""Many files, some at a time: answers as they come, and what failed at the end."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from emorec_lobes.errors import DataError
from emorec_lobes.inference.inputs import Heard
from emorec_lobes.inference.prediction import Prediction
from emorec_lobes.inference.recognizer import EmotionRecognizer
from emorec_lobes.inference.timeline import Timeline
from emorec_lobes.scale.paths import is_remote, read_remote
from emorec_lobes.units import Seconds

# What a file may take where somebody guards: to be read and decoded, or as a whole recording.
_HEARING_S: Seconds = 300
_TIMELINE_S: Seconds = 4 * 3600

Item = tuple[str | None, str | None]  # file, text
Answer = tuple[str, Prediction | Timeline]


@dataclass
class Asking:
    """Asks a recognizer about many files; a file that cannot be used stops no other.

    Arguments
    ---------
    recognizer : EmotionRecognizer
    labels, threshold
        As `EmotionRecognizer.predict`.
    batch_size : int
        Files that are looked at together.
    failed : list of str
        One line each, filled while it goes.
    guard : callable
        What surrounds each file as it is taken in, by its limit in seconds.
    """

    recognizer: EmotionRecognizer
    labels: Sequence[str] | None = None
    threshold: float | None = None
    batch_size: int = 16
    failed: list[str] = field(default_factory=list)
    guard: Callable[[Seconds], AbstractContextManager[None]] = nullcontext

    @staticmethod
    def group_size(batch_size: int) -> int:
        """Files that are looked at together: four batches are enough to find waves of one length in."""
        return 4 * batch_size

    def predictions(self, items: Iterable[Item]) -> Iterator[Answer]:
        """What each is called, file or text, and its answer; in the order of the items."""
        items = iter(items)
        while some := list(islice(items, self.group_size(self.batch_size))):
            yield from self._answers(list(filter(None, map(self._taken_in, some))))

    def timelines(self, files: Iterable[str], **windows: Any) -> Iterator[Answer]:
        """Each file and its timeline; `windows` as `EmotionRecognizer.timeline`."""
        for file in files:
            try:
                with self.guard(_TIMELINE_S):
                    timeline = self._timeline(file, windows)
                yield file, timeline
            except DataError as error:
                self.failed.append(str(error))

    def _timeline(self, file: str, windows: dict[str, Any]) -> Timeline:
        if not is_remote(file):
            return self.recognizer.timeline(file, labels=self.labels, **windows)
        content = read_remote(file)
        try:
            return replace(self.recognizer.timeline(content, labels=self.labels, **windows), name=file)
        except DataError as error:
            raise DataError(f"{file}: {error}") from None

    def _heard(self, file: str) -> Heard:
        return self.recognizer.hear(read_remote(file), name=file) if is_remote(file) else self.recognizer.hear(file)

    def _taken_in(self, item: Item) -> tuple[str, Heard | None, str | None] | None:
        file, text = item
        try:
            with self.guard(_HEARING_S):
                heard = self._heard(file) if file is not None and self.recognizer.takes_audio else None
        except DataError as error:
            self.failed.append(str(error))
            return None
        return (file if file is not None else str(text)), heard, text

    def _answers(self, taken: list[tuple[str, Heard | None, str | None]]) -> list[Answer]:
        """All at once; where one of them cannot be judged, one after the other."""
        try:
            return [(name, answer) for (name, *_), answer in zip(taken, self._asked(taken), strict=True)]
        except DataError as error:
            if len(taken) == 1:
                self.failed.append(str(error))
                return []
        return [answer for each in taken for answer in self._answers([each])]

    def _asked(self, taken: list[tuple[str, Heard | None, str | None]]) -> list[Prediction]:
        if not taken:
            return []
        heard = [each for _, each, _ in taken]
        texts = [text for _, _, text in taken]
        return self.recognizer.predict(
            None if None in heard else heard,
            text=texts if any(texts) else None,
            labels=self.labels,
            threshold=self.threshold,
        )
