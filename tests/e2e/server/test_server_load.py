"""Many requests at a time: each gets its own answer or is told to come again."""

import asyncio
import os
import signal

import pytest

pytest.importorskip("fastapi")
httpx2 = pytest.importorskip("httpx2")


def asked_together(recognizer, requests, **limits):
    """Runs `requests(client, service)` against an application in one event loop."""
    from emorec_lobes.server.app import build_app
    from emorec_lobes.server.limits import Limits

    app = build_app(recognizer, Limits(**limits))

    async def run():
        transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client,
        ):
            return await requests(client, app.state.service)

    return asyncio.run(run())


def level_of(answer):
    return answer.json()["probabilities"]["angry"]


@pytest.fixture(scope="module")
def upload(make_recording):
    """(client, level) -> the answer to a short recording of that level."""

    def send(client, level, **fields):
        return client.post("/v1/classify", files={"file": ("a.wav", make_recording(level, 0.05))}, data=fields)

    return send


def test_no_answer_goes_to_another_request(stub_kind, upload):
    recognizer = stub_kind(seconds_per_call=0.02)
    levels = [(number + 1) / 400 for number in range(200)]

    async def requests(client, _):
        return await asyncio.gather(*(upload(client, level, text=f"{level:.4f}") for level in levels))

    answers = asked_together(recognizer, requests, max_pending=200, batch_size=8)
    assert [level_of(answer) for answer in answers] == pytest.approx(levels, abs=1e-4)
    assert [answer.json()["warnings"] for answer in answers] == [[f"words: {level:.4f}"] for level in levels]
    assert sum(recognizer.batches) == 200
    assert 1 < max(recognizer.batches) <= 8
    assert len(recognizer.threads) == 1


def test_a_batch_size_of_one_asks_for_each_by_itself(stub_kind, upload):
    recognizer = stub_kind()

    async def requests(client, _):
        return await asyncio.gather(*(upload(client, 0.1) for _ in range(20)))

    asked_together(recognizer, requests, batch_size=1)
    assert recognizer.batches == [1] * 20


def test_requests_with_different_options_are_not_asked_together(stub_kind, upload):
    recognizer = stub_kind()

    async def requests(client, _):
        options = [{"labels": "angry,sad"}, {"labels": "angry,happy"}, {"threshold": "0.9"}, {"text": "words"}, {}]
        return await asyncio.gather(*(upload(client, 0.25, **option) for option in options * 4))

    answers = asked_together(recognizer, requests, batch_wait_ms=50)
    assert {answer.status_code for answer in answers} == {200}
    for answers_to_one, expected in ((answers[::5], {"angry", "sad"}), (answers[1::5], {"angry", "happy"})):
        assert all(set(answer.json()["probabilities"]) == expected for answer in answers_to_one)
    assert [answer.json()["label"] for answer in answers[2::5]] == [None] * 4


def test_an_input_that_fails_fails_alone(stub_kind, upload):
    recognizer = stub_kind(fails_on=0.5)
    levels = [0.1, 0.0, 0.2, 0.5, 0.3, 0.4]

    async def requests(client, _):
        return await asyncio.gather(*(upload(client, level) for level in levels))

    answers = asked_together(recognizer, requests, batch_wait_ms=500, batch_size=6)
    assert recognizer.batches[0] == 6
    assert [answer.status_code for answer in answers] == [200, 422, 200, 500, 200, 200]
    assert "silent" in answers[1].json()["error"]
    assert [level_of(answers[place]) for place in (0, 2, 4, 5)] == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=1e-4)


def test_of_a_thousand_at_once_each_is_answered_or_told_to_come_again(stub_kind, upload):
    recognizer = stub_kind(seconds_per_call=0.01)
    levels = [(number + 1) / 2000 for number in range(1000)]

    async def requests(client, _):
        answers = await asyncio.gather(*(upload(client, level) for level in levels))
        return answers, await upload(client, 0.25)

    answers, after = asked_together(recognizer, requests, max_pending=32)
    answered = [place for place, answer in enumerate(answers) if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(answered) >= 32 and len(refused) > 0
    assert [level_of(answers[place]) for place in answered] == pytest.approx([levels[i] for i in answered], abs=1e-4)
    assert {answer.status_code for answer in refused} == {503}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert after.status_code == 200


def test_a_slow_model_costs_its_request_alone(stub_kind, upload):
    recognizer = stub_kind(seconds_per_call=2)

    async def requests(client, _):
        late = await upload(client, 0.1)
        recognizer.seconds_per_call = 0
        await asyncio.sleep(1)
        return late, await upload(client, 0.2)

    late, after = asked_together(recognizer, requests, timeout_s=1, decoders=1)
    assert (late.status_code, late.headers["retry-after"]) == (503, "5")
    assert after.status_code == 200 and level_of(after) == pytest.approx(0.2, abs=1e-4)


def test_killing_the_decoder_hurts_one_request_only(stub_kind, upload):
    levels = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]

    async def requests(client, service):
        victim = service.decoders.process_ids[0]
        os.kill(victim, signal.SIGSTOP)  # whatever it gets next stays with it
        sent = [asyncio.create_task(upload(client, level)) for level in levels]
        while sum(task.done() for task in sent) < 5:
            await asyncio.sleep(0.01)
        os.kill(victim, signal.SIGKILL)
        answers = await asyncio.gather(*sent)
        after = [await upload(client, 0.25) for _ in range(4)]
        return answers, after, service.decoders.num_deaths, victim in service.decoders.process_ids

    answers, after, num_deaths, still_there = asked_together(stub_kind(), requests, decoders=2)
    hurt = [answer for answer in answers if answer.status_code != 200]
    assert [(answer.status_code, answer.headers["retry-after"]) for answer in hurt] == [(503, "1")]
    for answer, level in zip(answers, levels, strict=True):
        assert answer in hurt or level_of(answer) == pytest.approx(level, abs=1e-4)
    assert [answer.status_code for answer in after] == [200] * 4
    assert (num_deaths, still_there) == (1, False)


def test_a_decoder_that_died_between_uploads_hurts_none(stub_kind, upload):
    async def requests(client, service):
        await upload(client, 0.1)
        os.kill(service.decoders.process_ids[0], signal.SIGKILL)
        await asyncio.sleep(0.3)
        return await upload(client, 0.2)

    assert asked_together(stub_kind(), requests, decoders=1).status_code == 200


def test_no_process_outlives_the_server(stub_kind, upload):
    async def requests(client, service):
        await upload(client, 0.1)
        return service.decoders.process_ids

    for process in asked_together(stub_kind(), requests):
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
