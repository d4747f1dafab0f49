"""What happens between a question and its answer: decode elsewhere, gather, ask the model."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from emorec_lobes.server.answers import Answer, Timeline, as_answer, as_segment
from emorec_lobes.server.batches import Batcher
from emorec_lobes.server.decoders import DecoderPool
from emorec_lobes.server.limits import Limits
from emorec_lobes.server.metrics import Metrics
from emorec_lobes.server.questions import ClassifyQuestion, StreamQuestion, TimelineQuestion
from emorec_lobes.server.refusals import Refused, busy

if TYPE_CHECKING:
    from emorec_lobes.inference.recognizer import EmotionRecognizer, Prediction, Stream

Result = TypeVar("Result")
Item = tuple[bytes | None, str | None]  # a WAV file, words

# About half a minute at 48 kHz: together, many of these would take more memory than time is saved.
_LONG_BYTES = 6_000_000


class Service:
    """A recognizer that many may ask at a time.

    Arguments
    ---------
    recognizer : EmotionRecognizer
        It is asked by one thread alone.
    limits : Limits
    metrics : Metrics
    """

    def __init__(self, recognizer: "EmotionRecognizer", limits: Limits, metrics: Metrics) -> None:
        self.recognizer = recognizer
        self.limits = limits
        self.decoders = DecoderPool(limits)
        self._metrics = metrics
        self._batcher: Batcher[Item, Prediction] = Batcher(
            self._predict, limits.batch_size, limits.batch_wait_ms / 1000
        )
        self._model = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._num = {"requests": 0, "streams": 0}
        metrics.watch("emorec_pending_requests", "requests under way", lambda: self._num["requests"])
        metrics.watch("emorec_streams", "streams under way", lambda: self._num["streams"])
        metrics.watch("emorec_decoder_deaths", "decoding processes that died", lambda: self.decoders.num_deaths)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answers inside the block; ends the processes and the thread after it."""
        await self.decoders.start()
        answering = asyncio.create_task(self._batcher.run())
        try:
            yield
        finally:
            answering.cancel()
            await self.decoders.close()
            self._model.shutdown(cancel_futures=True)

    @contextlib.contextmanager
    def admitted(self, what: str) -> Iterator[None]:
        """Counts a request or a stream; raises Refused where there are as many as the server takes."""
        if self._num[what] >= {"requests": self.limits.max_pending, "streams": self.limits.max_streams}[what]:
            raise busy(what)
        self._num[what] += 1
        try:
            yield
        finally:
            self._num[what] -= 1

    async def classify(self, question: ClassifyQuestion) -> Answer:
        """The emotion of a whole recording, of words, or of both."""
        if question.audio is None:
            return await self._asked(None, question)
        async with self.decoders.decoded(question.audio) as audio:
            return await self._asked(audio, question)

    async def timeline(self, question: TimelineQuestion) -> Timeline:
        """The emotion of a recording's parts."""
        options = _given(labels=question.labels, window_s=question.window_s, shift_s=question.shift_s)
        async with self.decoders.decoded(question.audio) as audio:
            found = await self.in_model_thread(partial(self.recognizer.timeline, audio, **options))
        return Timeline([as_segment(segment) for segment in found.segments], found.duration_s, list(found.warnings))

    async def stream(self, question: StreamQuestion) -> "Stream":
        """A stream to push chunks into, by `in_model_thread`."""
        options = _given(window_s=question.window_s, shift_s=question.shift_s)
        return await self.in_model_thread(partial(self.recognizer.stream, question.sample_rate_hz, **options))

    async def in_model_thread(self, ask: Callable[[], Result]) -> Result:
        """Runs one thing at a time that needs the model, away from the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._model, ask)

    async def _asked(self, audio: bytes | None, question: ClassifyQuestion) -> Answer:
        options = _given(labels=question.labels, threshold=question.threshold, embeddings=question.embedding or None)
        # What must be the same for all that are asked together; what is long is asked by itself.
        given = (audio is not None, question.text is not None)
        company = object() if audio and len(audio) > _LONG_BYTES else None
        return as_answer(await self._batcher.answer((audio, question.text), (given, tuple(options.items()), company)))

    async def _predict(self, items: Sequence[Item], kind: Any) -> Sequence["Prediction"]:
        (has_audio, has_text), options, _ = kind
        audio, texts = zip(*items, strict=True)
        self._metrics.batch(len(items))
        ask = partial(self.recognizer.predict, list(audio) if has_audio else None, **dict(options))
        return await self.in_model_thread(partial(ask, text=list(texts) if has_text else None))


@contextlib.asynccontextmanager
async def within(limits: Limits) -> AsyncIterator[None]:
    """Bounds a block's time.

    Raises
    ------
    Refused
        503 when it is over.
    """
    try:
        async with asyncio.timeout(limits.timeout_s):
            yield
    except TimeoutError:
        raise Refused(
            f"The answer must come within {limits.timeout_s:g} s, but did not. Try again later, or with less audio.",
            503,
            retry_after_s=5,
        ) from None


def _given(**options: Any) -> dict[str, Any]:
    """Without what was left to the recognizer."""
    return {name: value for name, value in options.items() if value is not None}
