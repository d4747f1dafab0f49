"""A recognizer's answers: an utterance's own, whatever it came in and whatever stood beside it."""

import numpy as np
import pytest
import soundfile
import torch
from speechbrain.inference.interfaces import Pretrained

from emorec_lobes.errors import ConfigError, DataError
from emorec_lobes.inference.recognizer import EmotionRecognizer

KINDS = ("speech", "by_utterance", "ad", "ad_windows", "ad_by_utterance")
# Other formats and rates are other samples; the answer may move by so much.
SAME_SOUND = 0.02


@pytest.fixture(scope="module", params=KINDS)
def recognizer(request, fold):
    return EmotionRecognizer.from_hparams(fold(request.param), batch_size=4)


@pytest.fixture(scope="module")
def hearer(fold):
    """One that is enough where the model does not matter."""
    return EmotionRecognizer.from_hparams(fold("speech"))


def values(answers):
    return np.array([list(answer.probabilities.values()) for answer in answers])


def test_a_list_gives_what_each_gives_alone(recognizer, recordings):
    alone = [recognizer.predict(path, embeddings=True) for path in recordings]

    together = recognizer.predict(list(recordings), embeddings=True)

    assert np.abs(values(together) - values(alone)).max() < 1e-5
    assert np.ptp(values(alone), axis=0).max() > 1e-3  # or equal answers would prove nothing
    for one, other in zip(alone, together, strict=True):
        assert one.label == other.label and np.allclose(one.embedding, other.embedding, atol=1e-4)


def test_probabilities_are_of_the_labels_and_add_up_to_one(recognizer, recordings):
    answer = recognizer.predict(recordings[0])
    assert tuple(answer.probabilities) == recognizer.labels == ("angry", "neutral", "happy", "sad")
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    best, second, *_ = sorted(answer.probabilities.values(), reverse=True)
    assert answer.probabilities[answer.label] == best == pytest.approx(answer.confidence)
    assert answer.margin == pytest.approx(best - second)
    assert answer.embedding is None


def test_it_is_speechbrains_and_answers_as_its_classifiers_do(recognizer, recordings):
    waves = [torch.from_numpy(soundfile.read(path, dtype="float32")[0]) for path in recordings[:3]]
    longest = max(map(len, waves))
    padded = torch.stack([torch.nn.functional.pad(wave, (0, longest - len(wave)), value=7.0) for wave in waves])
    lens = torch.tensor([len(wave) / longest for wave in waves])

    out_prob, score, index, text_lab = recognizer.classify_batch(padded, lens)

    assert isinstance(recognizer, Pretrained)
    alone = [recognizer.predict(path) for path in recordings[:3]]
    assert np.abs(out_prob.exp().numpy() - values(alone)).max() < 1e-5
    assert text_lab == [answer.label for answer in alone] == [recognizer.labels[each] for each in index]
    assert torch.equal(score, out_prob.max(dim=1).values)
    of_file = recognizer.classify_file(str(recordings[0]))
    assert torch.allclose(of_file[0], out_prob[:1], atol=1e-4) and of_file[3] == text_lab[:1]


def test_paths_bytes_arrays_and_tensors_are_one_utterance(recognizer, recordings):
    path = recordings[1]
    samples, _ = soundfile.read(path, dtype="int16")
    inputs = [path, str(path), path.read_bytes(), samples, torch.from_numpy(samples / 2**15), np.stack([samples] * 2)]

    answers = recognizer.predict(inputs, sample_rate_hz=16_000)

    assert np.abs(values(answers) - values(answers[:1])).max() < 1e-5
    assert answers[-1].warnings == ("mixed from 2 channels",)


@pytest.mark.parametrize("kind", ["speech", "ad"])
def test_rates_channels_and_formats_change_no_label(fold, say, as_file, kind):
    """Synthetic voices below 4 kHz; the tolerance of a probability is 0.02."""
    recognizer = EmotionRecognizer.from_hparams(fold(kind))
    farthest = 0.0
    for seed in range(2):
        expected = recognizer.predict(say(2.0, seed), sample_rate_hz=16_000)
        files = [as_file(say(2.0, seed, rate), rate) for rate in (16_000, 22_050, 44_100, 48_000, 96_000)]
        files += [as_file(np.repeat(say(2.0, seed, 48_000)[:, None], 2, axis=1), 48_000, form)
                  for form in ("wav", "flac", "ogg", "mp3")]  # fmt: skip
        answers = recognizer.predict(files)
        assert {answer.label for answer in answers} == {expected.label}
        farthest = max(farthest, np.abs(values(answers) - values([expected])).max())
    assert farthest < SAME_SOUND


def test_what_can_be_measured_is_a_warning(hearer, say, as_file):
    wave = say(2.0)
    loud = np.clip(20 * wave, -1, 1)
    stereo = np.repeat(say(2.0, 0, 44_100)[:, None], 2, axis=1)
    files = [as_file(wave), as_file(say(0.2)), as_file(loud), as_file(stereo, 44_100), as_file(np.zeros(32_000))]

    found = [answer.warnings for answer in hearer.predict(files)]

    assert found == [
        (),
        ("too short",),
        ("clipped",),
        ("resampled from 44100 Hz", "mixed from 2 channels"),
        ("silent",),
    ]


def test_eight_channels_at_384_khz_are_heard(hearer, say, as_file):
    wave = np.repeat(say(1.0, 0, 384_000)[:, None], 8, axis=1)
    answer = hearer.predict(as_file(wave, 384_000))
    assert answer.warnings == ("resampled from 384000 Hz", "mixed from 8 channels") and answer.label is not None
    assert answer.duration_s == 1.0


@pytest.mark.parametrize("kind", ["speech", "ad"])
def test_silence_has_no_emotion(fold, kind):
    answer = EmotionRecognizer.from_hparams(fold(kind)).predict(np.zeros(32_000), sample_rate_hz=16_000)
    assert answer.label is None and set(answer.probabilities.values()) == {0.25} and answer.warnings == ("silent",)


def bad(as_file, say):
    nan = say(1.0).copy()
    nan[100] = np.nan
    return {
        "zero bytes": b"",
        "text": b"hello",
        "truncated": as_file(say(1.0))[:20_000],
        "no number": as_file(nan, subtype="FLOAT"),
        "a blink": as_file(np.zeros(300)),
        "ten hours": as_file(np.zeros(16_000 * 310, dtype=np.int16), form="flac"),
    }


@pytest.mark.parametrize("what", ["zero bytes", "text", "truncated", "no number", "a blink", "ten hours"])
def test_bad_audio_is_one_line_that_names_it(hearer, as_file, say, what):
    data = bad(as_file, say)[what]
    with pytest.raises(DataError, match=r"^input 1 ") as caught:
        hearer.predict([as_file(say(1.0)), data])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((2, 3, 4)), "in one or two dimensions"),
        (np.array(["a"]), "in one or two dimensions"),
        (np.full(1_000, np.inf), "finite samples"),
        (np.zeros((100, 70)), "at most 64 channels"),
    ],
)
def test_samples_that_are_none_are_refused(hearer, samples, message):
    with pytest.raises(DataError, match=message):
        hearer.predict(samples, sample_rate_hz=16_000)


def test_samples_need_a_rate(hearer):
    with pytest.raises(DataError, match="`sample_rate_hz` must be given"):
        hearer.predict(np.zeros(1_000))


# ------------------------------------------------------------------------------------------ speakers


@pytest.mark.parametrize("kind", ["by_speaker", "ad_by_speaker"])
def test_a_model_normalised_over_speakers_refuses_without_enrolment(fold, kind):
    with pytest.raises(ConfigError, match="normalised over a whole speaker"):
        EmotionRecognizer.from_hparams(fold(kind))


@pytest.mark.parametrize("kind", ["by", "ad_by"])
def test_enrolled_statistics_are_those_of_all_their_frames(fold, recordings, kind):
    """Enrolled with one utterance, a model normalised over speakers does as one normalised over utterances."""
    by_utterance = EmotionRecognizer.from_hparams(fold(f"{kind}_utterance"))
    alone = recordings[0].parent / "one"
    alone.mkdir(exist_ok=True)
    (alone / "a.wav").write_bytes(recordings[4].read_bytes())

    enrolled = EmotionRecognizer.from_hparams(fold(f"{kind}_speaker"), enrol=alone)

    expected, found = by_utterance.predict(recordings[4]), enrolled.predict(recordings[4])
    assert np.abs(values([expected]) - values([found])).max() < 1e-5
    other = [each.predict(recordings[5]) for each in (by_utterance, enrolled)]
    assert np.abs(values(other[:1]) - values(other[1:])).max() > 1e-4


def test_the_speaker_vector_is_the_utterances_own_or_the_mean_of_the_enrolled(fold, recordings, tmp_path):
    from emorec_lobes.features.audio import load_audio
    from emorec_lobes.features.speaker import SpeakerEmbedding

    for name in (2, 3):
        (tmp_path / f"{name}.wav").write_bytes(recordings[name].read_bytes())
    recognizer = EmotionRecognizer.from_hparams(fold("own_voice"))
    own = recognizer.predict(list(recordings[:3]))
    assert np.abs(values(own) - values([recognizer.predict(path) for path in recordings[:3]])).max() < 1e-5

    recognizer.enrol(tmp_path)

    embed = SpeakerEmbedding()
    mean = torch.cat([embed(load_audio(recordings[name])) for name in (2, 3)]).mean(dim=0)
    assert torch.allclose(recognizer._engine.system._speakers._enrolled[0], mean, atol=1e-5)
    assert np.abs(values(recognizer.predict(list(recordings[:3]))) - values(own)).max() > 1e-5


def test_a_model_that_knows_no_speakers_refuses_enrolment(fold, recordings):
    with pytest.raises(ConfigError, match="`enrol` must be left out"):
        EmotionRecognizer.from_hparams(fold("ad"), enrol=recordings[0].parent)


# ------------------------------------------------------------------------------------------ opening


def test_what_is_no_model_is_one_line(tmp_path):
    for source, message in ((tmp_path / "none", "is neither"), (tmp_path, "hyperparams.yaml|neither")):
        with pytest.raises(ConfigError, match=message) as caught:
            EmotionRecognizer.from_hparams(source)
        assert "\n" not in str(caught.value)


def test_a_text_beside_speech_is_said_to_be_unused(hearer, recordings):
    assert hearer.predict(recordings[1], text="so angry").warnings == ("text not used",)
    with pytest.raises(ConfigError, match="needs audio"):
        hearer.predict(text="so angry")
    with pytest.raises(ConfigError, match="one for each of 2 inputs"):
        hearer.predict(list(recordings[:2]), text=["so angry"])


@pytest.mark.parametrize(("option", "value"), [("precision", "fp8"), ("batch_size", 0), ("precision", "bf16")])
def test_options_out_of_range_are_refused(fold, option, value):
    with pytest.raises(ConfigError, match=f"`{option}` must be"):
        EmotionRecognizer.from_hparams(fold("speech"), **{option: value})
