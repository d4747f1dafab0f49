"""The page in a browser: a file is dropped, a microphone recorded, the timeline seen."""

import base64
import contextlib
import os
import shutil
import threading
import time

import numpy as np
import pytest
import soundfile

pytestmark = pytest.mark.slow
playwright = pytest.importorskip("playwright.sync_api")
uvicorn = pytest.importorskip("uvicorn")

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DROP = """([name, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name));
  return transfer;
}"""


@contextlib.contextmanager
def running(recognizer, token=None):
    """The address of a server in a thread of its own."""
    from emorec_lobes.server.app import build_app
    from emorec_lobes.server.limits import Limits
    from emorec_lobes.server.running import listen

    with listen("127.0.0.1", 0) as port:
        app = build_app(recognizer, Limits(decoders=1), token, is_local=True)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [port]})
        thread.start()
        while not server.started:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port.getsockname()[1]}/"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser whose microphone plays a tone."""
    path = os.environ.get("EMOREC_TEST_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no Chromium is installed; set EMOREC_TEST_BROWSER to one")
    tone = tmp_path_factory.mktemp("microphone") / "tone.wav"
    soundfile.write(tone, 0.5 * np.sin(2 * np.pi * 220 * np.arange(10 * 48_000) / 48_000), 48_000)
    words = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--no-sandbox"]
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(
            executable_path=path, args=[*words, f"--use-file-for-fake-audio-capture={tone}"], timeout=120_000
        )
        yield started
        started.close()


@contextlib.contextmanager
def opened(browser, address, **options):
    """A page, and what went wrong in it: errors, violations of the policy, requests to elsewhere."""
    context = browser.new_context(permissions=["microphone"], **options)
    context.set_default_timeout(120_000)
    page, wrong = context.new_page(), []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if "policy" in message.text.lower() else None)
    page.on("request", lambda request: wrong.append(request.url) if not _is_ours(request.url, address) else None)
    page.goto(address)
    page.get_by_text("Does it sound angry, happy, neutral or sad?").wait_for(state="attached")
    yield page
    context.close()
    assert wrong == []


def _is_ours(url, address):
    return url.startswith((address, "blob:", "data:"))


def drop(page, name, data):
    transfer = page.evaluate_handle(DROP, [name, base64.b64encode(data).decode()])
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})


def is_drawn(page, x, y):
    """Whether a canvas is not empty around a place, given as shares of its size."""
    place = f"{{ const c = document.querySelector('#picture'), b = c.getContext('2d'); const x = {x} * c.width;"
    return page.evaluate(f"() => {place} return b.getImageData(x, {y} * c.height, 4, 4).data.some((v) => v > 0); }}")


@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark"}, {"viewport": {"width": 360, "height": 740}}])
def test_a_dropped_file_is_answered_with_its_timeline(browser, stub_kind, make_recording, options):
    with running(stub_kind()) as address, opened(browser, address, **options) as page:
        drop(page, "a.wav", make_recording(0.25, duration_s=3))
        page.get_by_text("a.wav (3.0 s) sounds angry.").wait_for()
        assert page.locator(".verdict strong").text_content() == "angry"
        assert page.locator(".bars dt").all_text_contents() == ["angry", "happy", "neutral", "sad"]
        assert page.locator(".bars .number").all_text_contents() == ["25.0 %"] * 4
        assert "0.0 s to 3.0 s angry" in page.get_attribute("#picture", "aria-label")
        assert is_drawn(page, 0.5, 0.4) and is_drawn(page, 0.9, 0.8)
        assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")


def test_a_recording_is_made_and_answered(browser, stub_kind):
    with running(stub_kind()) as address, opened(browser, address) as page:
        page.get_by_role("button", name="Record").click()
        page.get_by_text("Recording … 1 s").wait_for()
        page.get_by_role("button", name="Stop").click()
        page.get_by_text("Your recording (").wait_for()
        names, shares = (page.locator(f".bars {kind}").all_text_contents() for kind in ("dt", ".number"))
        # The mean of a rectified sine of 0.5 is 0.318; the tone starts anywhere, and may begin late.
        assert 20 < float(shares[names.index("angry")].split()[0]) < 33


def test_it_can_be_used_by_keyboard_alone(browser, stub_kind, make_recording):
    with running(stub_kind()) as address, opened(browser, address) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("() => document.activeElement.id") == "record"
        page.keyboard.press("Tab")
        assert page.evaluate("() => document.activeElement.id") == "choose"
        with page.expect_file_chooser() as chooser:
            page.keyboard.press("Enter")
        chooser.value.set_files([{"name": "b.wav", "mimeType": "audio/wav", "buffer": make_recording(0.4, 3)}])
        page.get_by_text("b.wav (3.0 s) sounds angry.").wait_for()
        page.focus("#picture")
        for _ in range(2):
            page.keyboard.press("ArrowRight")
        assert page.text_content("#moment") == "1.0 s – 2.0 s: angry 100.0 %"
        page.focus("[value=wave]")
        page.keyboard.press("ArrowRight")
        assert page.is_checked("[value=spectrum]")
        page.get_by_text("Segments as a table").press("Enter")
        assert page.locator("#segments tbody tr").count() == 3


def test_with_words_it_shows_the_voice_alone_and_both(browser, stub_kind, make_recording):
    with running(stub_kind()) as address, opened(browser, address) as page:
        page.get_by_label("Words said").fill("I told you <b>so</b>")
        drop(page, "a.wav", make_recording(0.25))
        page.get_by_text("Voice and words").wait_for()
        assert page.locator(".answer .title").all_text_contents() == ["Voice alone", "Voice and words"]
        assert page.locator(".warnings li").all_text_contents() == ["words: I told you <b>so</b>"]


def test_what_the_server_refuses_is_said_and_the_token_is_asked_for(browser, stub_kind, make_recording):
    token = "correct-horse-battery-staple"
    with running(stub_kind(takes_text=False), token) as address, opened(browser, address) as page:
        assert page.locator("#text-part").is_hidden()
        drop(page, "a.wav", make_recording(0.25))
        page.get_by_role("alert").get_by_text("Authorization").wait_for()
        page.get_by_label("Token").fill(token)
        drop(page, "letter.txt", b"no audio at all")
        page.get_by_role("alert").get_by_text("can be decoded").wait_for()
        assert page.locator("#result").is_hidden()
        drop(page, "a.wav", make_recording(0.25))
        page.get_by_text("a.wav (0.2 s) sounds angry.").wait_for()
        assert page.get_by_role("alert").is_hidden()
