"""How an extraction is handed over to Ray; that it is one's own bytes is held end to end."""

from types import SimpleNamespace

from emorec_lobes.features import extract_ray
from emorec_lobes.features.extract_ray import extract_on_ray


def job(number, duration=1.0):
    return SimpleNamespace(utterance=SimpleNamespace(id=f"u{number}", duration=duration))


def test_what_belongs_together_stays_together_and_every_job_is_done_once_in_order(monkeypatch):
    handed = []

    def here(work, lost, groups, workers, on_gpu):
        handed.extend(groups)
        assert (workers, on_gpu) == (3, True)
        yield from map(work, groups)

    monkeypatch.setattr(extract_ray, "on_ray", here)
    sizes = [1] * 20 + [10, 10, 40, 1]
    numbers = iter(range(sum(sizes)))
    chunks = [[job(next(numbers)) for _ in range(size)] for size in sizes]

    answers = list(extract_on_ray(lambda jobs: [(each.utterance.id, None) for each in jobs], chunks, 3, on_gpu=True))

    assert answers == [(f"u{number}", None) for number in range(sum(sizes))]
    assert [len(group) for group in handed] == [16, 14, 10, 40, 1]
    for chunk in chunks:
        assert any(all(each in group for each in chunk) for group in handed)


def test_a_job_that_kills_its_worker_is_named():
    assert extract_ray._lost(job(7)) == (
        "u7",
        "It kills or stalls whatever reads it. Convert its audio, or leave it out.",
    )
