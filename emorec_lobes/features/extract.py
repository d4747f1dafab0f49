"""Manifest, audio and transcripts -> feature stores. Only what is missing or out of date is computed."""

import logging
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from emorec_lobes.corpora.manifest import DATA_ROOT, Utterance
from emorec_lobes.errors import ConfigError, DataError
from emorec_lobes.features.extract_ray import extract_on_ray
from emorec_lobes.features.spec import ExtractionSpec, Extractor, TextSpec
from emorec_lobes.features.spectrum_spec import SpectrumSpec
from emorec_lobes.features.store import FeatureStore, disk_errors
from emorec_lobes.features.wave_copy import stretched
from emorec_lobes.files import locked, write_json
from emorec_lobes.scale.cluster import check_engine
from emorec_lobes.scale.confined import end_with_parent
from emorec_lobes.scale.paths import is_remote
from emorec_lobes.units import num_frames

FAILED = "failed.json"

Spec = ExtractionSpec | TextSpec | SpectrumSpec

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Job:
    """One utterance's missing features."""

    utterance: Utterance
    sources: Mapping[str, tuple[Any, ...] | None]  # feature -> what it is made from
    batch: tuple[Any, ...] = ()  # the transcripts or utterances that go through the encoder together with its own


def extract(
    utterances: Mapping[str, Utterance],
    data_folder: Path | str,
    root: Path,
    spec: Spec,
    workers: int = 0,
    progress: bool = True,
    engine: str = "local",
) -> dict[str, FeatureStore]:
    """Fills the stores of a manifest's features.

    An utterance is decoded once for all of its features and goes through the encoder alone, or at `bf16`
    with others about as long, a transcript with others of as many tokens. What is in the stores already is
    left alone; if its audio file has another size or time, the decoded audio decides whether it is computed
    again, and of tokens the transcript does. When nothing is missing, nothing is loaded. An interrupted
    extraction goes on where it was, and ends with the same bits.

    Arguments
    ---------
    utterances : mapping
        id -> `Utterance`.
    data_folder : Path or str
        Fills in `{data_root}`: a folder, or the URL of one in an object store.
    root : Path
        Folder of the stores; one extraction at a time fills it, and another one waits.
    spec : ExtractionSpec, SpectrumSpec or TextSpec
        What to extract; the last one needs transcripts and no audio.
    workers : int
        Processes, each with extractors of its own and one thread; 0 for this process with all threads.
    progress : bool
        Whether to show a bar with rate and time left.
    engine : str
        `local`, or `ray`: `workers` on a Ray cluster, 0 for all that it has room for. Its machines share the file
        system. An utterance that kills or stalls its worker again and again cannot be used, and stops no other.

    Returns
    -------
    dict
        feature -> `FeatureStore`, with every utterance in it.

    Raises
    ------
    DataError
        If audio, a transcript or an alignment cannot be used: names the first, after all others are finished.
    ConfigError, UnavailableError
        If the spec cannot be met.
    StoreError
        If a store does not fit, or the disk is full; what is finished stays.
    """
    if workers < 0:
        raise ConfigError(f"`workers` must be 0 or more, but is {workers} instead. Use 0 for this process alone.")
    check_engine(engine)
    data_folder, root = data_folder if is_remote(data_folder) else Path(data_folder), Path(root)
    stores = spec.open(root)
    if not _jobs(utterances, data_folder, stores, spec):
        return stores
    if spec.reads_audio:
        _check_data_folder(utterances, data_folder)
    with ExitStack() as stack:
        with disk_errors(root):
            stack.enter_context(locked(root, "extraction", wait=True))
            stores = spec.open(root)  # another extraction may have ended in between
            for store in stores.values():
                store.sweep()
        jobs = _jobs(utterances, data_folder, stores, spec)
        work = (data_folder, root, spec)
        chunks = _chunks(jobs, spec.batches(utterances))
        if engine == "ray":
            do = partial(_do_in_process, data_folder=data_folder, root=root, spec=spec)
            results = extract_on_ray(do, chunks, workers, on_gpu=getattr(spec, "device", "cpu") != "cpu")
        else:
            results = _in_processes(chunks, workers, *work) if workers else _here(chunks, *work)
        # With a delay the bar waits for the first result, so that an encoder that is not here is one line and no bar.
        title = "features" if spec.copy is None else f"features, copy {spec.copy.number}"
        bar = tqdm(results, total=len(jobs), desc=title, unit="utt", delay=1e-3, disable=not progress)
        messages = dict(bar)
        failures = {key: messages[key] for key in utterances if messages.get(key)}
        stores = spec.open(root)
        done = {job.utterance.id: job.utterance for job in jobs}
        _warn_of_clipping(stores, list(done))
        for warning in spec.warnings(stores, done):
            _logger.warning("%s", warning)
        _report(failures, len(utterances), root)
    return stores


def _jobs(
    utterances: Mapping[str, Utterance], data_folder: Path, stores: Mapping[str, FeatureStore], spec: Spec
) -> list[_Job]:
    jobs = []
    for utterance_id, utterance in utterances.items():
        sources = {feature: spec.source(feature, utterance, data_folder) for feature in stores}
        needed = {
            feature: source
            for feature, source in sources.items()
            if utterance_id not in stores[feature]
            # Features whose audio is not on this machine stay as they are.
            or source not in (None, stores[feature].entry(utterance_id).source)
        }
        if needed:
            jobs.append(_Job(utterance, needed))
    return jobs


def _chunks(jobs: list[_Job], batches: Sequence[Mapping[str, Any]]) -> list[list[_Job]]:
    """The jobs of each batch, batches in their order; what is in none is a chunk of its own, and comes first."""
    place = {key: number for number, batch in enumerate(batches) for key in batch}
    chunks: dict[int, list[_Job]] = {}
    alone = []
    for job in jobs:
        number = place.get(job.utterance.id)
        if number is None:
            alone.append([job])
        else:
            chunks.setdefault(number, []).append(replace(job, batch=tuple(batches[number].values())))
    return [*alone, *(chunks[number] for number in sorted(chunks))]


class _Worker:
    """Does jobs one after another; loads an extractor when it is first needed."""

    def __init__(self, data_folder: Path, root: Path, spec: Spec) -> None:
        self.data_folder = data_folder
        self.spec = spec
        self.stores = spec.open(root)
        self.extractors: dict[str, Extractor] = {}

    def __call__(self, job: _Job) -> tuple[str, str | None]:
        """Does a job. Returns the utterance's id, and what is wrong with its data, if anything is."""
        try:
            self._do(job)
        except DataError as error:
            return job.utterance.id, str(error)
        return job.utterance.id, None

    def _do(self, job: _Job) -> None:
        utterance = job.utterance
        given, digest = self.spec.read(utterance, self.data_folder)  # a wave or a transcript
        heard = given if self.spec.copy is None else self.spec.copy(given, utterance.id)
        for feature, source in job.sources.items():
            store = self.stores[feature]
            same = utterance.id in store and store.entry(utterance.id).audio_hash == digest
            # Phones are made from more than the audio.
            if same and feature != "phones":
                store.confirm(utterance.id, source)
                continue
            frames = self._frames(feature, given, heard, job)
            if store.header.frame_shift_s and len(frames) != num_frames(len(heard)):
                raise DataError(
                    f"`{feature}` of {utterance.id!r} must have {num_frames(len(heard))} frames, but has {len(frames)}."
                )
            store.write(utterance.id, frames, digest, source)

    def _frames(self, feature: str, given: Any, heard: Any, job: _Job) -> Tensor:
        """A feature of what is heard or read; phones, which alignment files time in the original, follow its speed."""
        if feature not in self.extractors:
            self.extractors[feature] = self.spec.load(feature)
        extractor, utterance = self.extractors[feature], job.utterance
        if job.batch and feature == self.spec.batched:
            return extractor(heard, utterance, self.data_folder, job.batch)
        if feature != "phones" or heard is given:
            return extractor(heard, utterance, self.data_folder)
        return stretched(extractor(given, utterance, self.data_folder), len(given), len(heard))


def _here(chunks: list[list[_Job]], data_folder: Path, root: Path, spec: Spec) -> Iterator[tuple[str, str | None]]:
    worker = _Worker(data_folder, root, spec)
    for chunk in chunks:
        for job in chunk:
            yield worker(job)


def _in_processes(
    chunks: list[list[_Job]], workers: int, data_folder: Path, root: Path, spec: Spec
) -> Iterator[tuple[str, str | None]]:
    pool = ProcessPoolExecutor(
        min(workers, len(chunks)), mp_context=multiprocessing.get_context("spawn"), initializer=_start_process
    )
    try:
        for future in as_completed([pool.submit(_do_in_process, each, data_folder, root, spec) for each in chunks]):
            yield from future.result()
    except BrokenProcessPool:
        raise ConfigError(
            f"One of {workers} `workers` was killed, probably for lack of memory. Use fewer; finished utterances "
            "are kept."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start_process() -> None:
    """Makes a worker process one thread wide, and makes it end with its parent even if that is killed."""
    torch.set_num_threads(1)
    end_with_parent()


@lru_cache(maxsize=1)
def _worker_of_process(data_folder: Path, root: Path, spec: Spec) -> _Worker:
    return _Worker(data_folder, root, spec)


def _do_in_process(chunk: list[_Job], data_folder: Path, root: Path, spec: Spec) -> list[tuple[str, str | None]]:
    worker = _worker_of_process(data_folder, root, spec)
    return [worker(job) for job in chunk]


def _check_data_folder(utterances: Mapping[str, Utterance], data_folder: Path) -> None:
    if (
        not is_remote(data_folder)
        and not data_folder.is_dir()
        and any(DATA_ROOT in utterance.wav for utterance in utterances.values())
    ):
        raise DataError(
            f"`data_folder` must be the corpus's folder, but {data_folder} is not a folder. Name another one."
        )


def _warn_of_clipping(stores: Mapping[str, FeatureStore], ids: list[str]) -> None:
    for store in stores.values():
        counts = [store.entry(item).num_clipped for item in ids if item in store]
        if any(counts):
            _logger.warning(
                "%d values in %d utterances of %s are beyond the range of half precision and stored as its largest.",
                sum(counts),
                sum(count > 0 for count in counts),
                store.folder,
            )


def _report(failures: Mapping[str, str | None], num_utterances: int, root: Path) -> None:
    """Lists failures in a file, and raises one line about them."""
    path = root / FAILED
    if not failures:
        path.unlink(missing_ok=True)
        return
    with disk_errors(root):
        write_json(path, failures)
    first, message = next(iter(failures.items()))
    raise DataError(
        f"{len(failures)} of {num_utterances} utterances cannot be used (all are listed in {path}); the first is "
        f"{first!r}: {message}"
    )
