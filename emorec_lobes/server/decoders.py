"""A pool of processes that decode uploads; one that dies takes one request with it, and is replaced."""

import asyncio
import contextlib
import json
import os
import signal
import struct
import sys
from collections.abc import AsyncIterator
from typing import Any

from emorec_lobes.server.decoder import HEAD, UPLOAD
from emorec_lobes.server.limits import MAX_RATE_HZ, MIN_RATE_HZ, Limits
from emorec_lobes.server.refusals import Refused
from emorec_lobes.units import MIN_SAMPLES, SAMPLE_RATE_HZ, Seconds

# Decoding takes milliseconds; what takes this long was made to.
_MAX_CPU_S: Seconds = 10
_LAST_WORDS_S: Seconds = 1  # between the end of its output and its own
# Whatever libsndfile leaks on broken files goes with the process.
_UPLOADS_PER_PROCESS = 500
_SPARE_BYTES = 128 * 2**20
_PIPE_BYTES = 2**20
_WAV_HEAD_BYTES = 44


class DecoderPool:
    """Turns uploads into plain WAV files, in processes with limits on memory and time.

    Arguments
    ---------
    limits : Limits
    """

    def __init__(self, limits: Limits) -> None:
        self._room = _Room(round(limits.memory_mb * 1e6) + _WAV_HEAD_BYTES)
        self._children = [_Child(limits, self._room) for _ in range(limits.decoders)]
        self._idle: asyncio.Queue[_Child] = asyncio.Queue()
        for child in self._children:
            self._idle.put_nowait(child)

    @property
    def num_deaths(self) -> int:
        """How many processes have died so far, whatever the reason."""
        return sum(child.num_deaths for child in self._children)

    @property
    def process_ids(self) -> list[int]:
        """The processes that run now."""
        return [child.process.pid for child in self._children if child.process]

    async def start(self) -> None:
        """Starts every process, and has it decode something: a first request need not wait for that."""
        num_bytes = 4 * MIN_SAMPLES
        nothing = _wav_head(SAMPLE_RATE_HZ, 1, num_bytes) + bytes(num_bytes)
        for audio in await asyncio.gather(*(child.decode(nothing) for child in self._children)):
            await self._room.give(len(audio))

    @contextlib.asynccontextmanager
    async def decoded(self, data: bytes) -> AsyncIterator[bytes]:
        """One upload as a WAV file of float32 samples, which counts as memory until the block ends.

        Raises
        ------
        Refused
            413 or 422 if it cannot be used; 503 if somebody ended the process.
        """
        child = await self._idle.get()
        try:
            audio = await child.decode(data)
        finally:
            self._idle.put_nowait(child)
        try:
            yield audio
        finally:
            await self._room.give(len(audio))

    async def close(self) -> None:
        """Ends the processes."""
        for child in self._children:
            await child.stop()


class _Room:
    """Bytes that may be held at one time."""

    def __init__(self, num_bytes: int) -> None:
        self._free = num_bytes
        self._freed = asyncio.Condition()

    async def take(self, num_bytes: int) -> None:
        async with self._freed:
            await self._freed.wait_for(lambda: self._free >= num_bytes)
            self._free -= num_bytes

    async def give(self, num_bytes: int) -> None:
        async with self._freed:
            self._free += num_bytes
            self._freed.notify_all()


class _Child:
    """One process, started when it is needed and after each death."""

    def __init__(self, limits: Limits, room: _Room) -> None:
        self._limits = limits
        self._room = room
        self._served = 0
        self.process: asyncio.subprocess.Process | None = None
        self.num_deaths = 0

    async def decode(self, data: bytes) -> bytes:
        if self.process and (self.process.returncode is not None or self._served >= _UPLOADS_PER_PROCESS):
            await self.stop()
        process = self.process = self.process or await self._start()
        self._served += 1
        try:
            return await self._exchange(process, data)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError, KeyError):
            raise await self._autopsy(process) from None
        except asyncio.CancelledError:  # half a conversation: the next upload must not read its rest
            await self.stop()
            raise

    async def _start(self) -> asyncio.subprocess.Process:
        limits = self._limits
        # The upload, the samples as they grow, the same once more as bytes.
        memory = 2 * limits.max_upload_bytes + 4 * 4 * limits.max_samples + _SPARE_BYTES
        numbers = (limits.max_audio_s, limits.max_samples, memory, _MAX_CPU_S)
        kept = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG")
        self._served = 0
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "emorec_lobes.server.decoder", *map(str, numbers)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={name: os.environ[name] for name in kept if name in os.environ} | {"OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is the server's to handle
            limit=_PIPE_BYTES,
        )

    async def _exchange(self, process: asyncio.subprocess.Process, data: bytes) -> bytes:
        process.stdin.write(UPLOAD.pack(len(data)))
        process.stdin.write(data)
        await process.stdin.drain()
        head = await self._head(process.stdout)
        if "error" in head:
            raise Refused(head["error"], head["status"])
        rate, channels, num_bytes = head["rate"], head["channels"], head["num_bytes"]
        if not (MIN_RATE_HZ <= rate <= MAX_RATE_HZ and channels > 0 and 0 < num_bytes <= 4 * self._limits.max_samples):
            raise ConnectionError("a decoder must keep to its limits")
        wav_head = _wav_head(rate, channels, num_bytes)
        await self._room.take(len(wav_head) + num_bytes)  # until then the samples stay where they are
        try:
            return wav_head + await process.stdout.readexactly(num_bytes)
        except BaseException:
            await self._room.give(len(wav_head) + num_bytes)
            raise

    async def _head(self, stream: asyncio.StreamReader) -> dict[str, Any]:
        length = HEAD.unpack(await stream.readexactly(HEAD.size))[0]
        return json.loads(await stream.readexactly(min(length, _PIPE_BYTES)))

    async def _autopsy(self, process: asyncio.subprocess.Process) -> Refused:
        """Why it died."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _LAST_WORDS_S)
        code = process.returncode
        self.num_deaths += 1
        await self.stop()
        if code == -signal.SIGXCPU:
            return Refused("The audio takes too long to decode. Convert it to wav.", 422)
        if code == -signal.SIGKILL:
            return Refused("The process that decoded the audio was ended. Send it again.", 503, retry_after_s=1)
        return Refused("The audio broke its decoder. Convert it to wav, flac, ogg or mp3 again.", 422)

    async def stop(self) -> None:
        """Ends the process, if there is one."""
        process, self.process = self.process, None
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()


def _wav_head(rate: int, channels: int, num_bytes: int) -> bytes:
    """The 44 bytes in front of float32 samples."""
    width = 4 * channels
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, channels, rate, width * rate, width, 32)
    return struct.pack("<4sI4s", b"RIFF", 36 + num_bytes, b"WAVE") + form + struct.pack("<4sI", b"data", num_bytes)
