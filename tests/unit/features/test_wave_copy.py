"""An augmented copy is a set of stores of its own, on one frame grid, the same whoever makes it and when."""

import random
from dataclasses import replace

import pytest
import torch
from speechbrain.augment.augmenter import Augmenter
from speechbrain.augment.time_domain import AddNoise, SpeedPerturb

from emorec_lobes.errors import DataError
from emorec_lobes.features import extract as extract_module
from emorec_lobes.features.audio import audio_hash, load_audio
from emorec_lobes.features.extract import ExtractionSpec, extract
from emorec_lobes.features.mel import MelSpectrogram
from emorec_lobes.features.phones import PhoneExtractor
from emorec_lobes.features.wave_copy import WaveCopy, stretched
from emorec_lobes.models.augmentation import WaveAugment
from emorec_lobes.units import num_frames

PLAIN = ExtractionSpec("mel", 1, 80, features=("layers", "mel", "phones"))
NOISE_AND_SPEED = WaveAugment(
    Augmenter(augmentations=[SpeedPerturb(16_000, [80, 125]), AddNoise(snr_high=20)], shuffle_augmentations=True)
)


def spec_of(augment, number=1, settings="{}", spec=PLAIN):
    return replace(spec, copy=WaveCopy(number, settings, augment))


def run(utterances, folder, root, spec, **options):
    return extract(utterances, folder, root, spec, progress=False, **options)


def half_as_loud(wave, seed):
    return 0.5 * wave


def half_as_fast(wave, seed):
    return wave.repeat_interleave(2)


def test_the_features_of_a_copy_are_those_of_the_augmented_wave(tmp_path, corpus):
    utterances, folder = corpus(2)
    stores = run(utterances, folder, tmp_path / "f", spec_of(half_as_loud))
    wave = load_audio(folder / "1.wav")
    expected = MelSpectrogram()(0.5 * wave).half()
    assert torch.equal(stores["mel"].read("u1"), expected)
    assert torch.equal(stores["layers"].read("u1")[:, 0], expected)
    assert stores["mel"].audio_hashes["u1"] == audio_hash(wave), "changed audio is found by the original's samples"


def test_copies_lie_beside_the_originals_and_leave_them_alone(tmp_path, corpus, folder_contents):
    utterances, folder = corpus(2)
    run(utterances, folder, tmp_path / "f", PLAIN)
    before = folder_contents(tmp_path / "f")
    run(utterances, folder, tmp_path / "f", spec_of(half_as_loud))
    after = folder_contents(tmp_path / "f")
    assert {name: after[name] for name in before} == before
    assert {name.split("/")[0].rpartition("-")[0] for name in after.keys() - before.keys()} == {
        "layers-mel-copy1",
        "mel-copy1",
        "phones-none-copy1",
    }


def test_the_number_and_the_settings_name_the_stores_and_nothing_else_does():
    def names(spec):
        return {spec.header(feature).folder_name for feature in spec.features}

    first = names(spec_of(half_as_loud))
    assert names(spec_of(half_as_fast)) == first == names(replace(spec_of(half_as_loud), device="cuda"))
    others = [names(PLAIN), names(spec_of(half_as_loud, number=2)), names(spec_of(half_as_loud, settings='{"a": 1}'))]
    for one, other in [(first, item) for item in others] + [(others[1], others[2])]:
        assert len(one) == len(other) == 3 and one.isdisjoint(other)


def test_each_utterance_and_each_copy_draws_for_itself(corpus):
    seeds = []

    def note(wave, seed):
        seeds.append(seed)
        return wave

    for number in (1, 2):
        for utterance_id in ("a", "b"):
            WaveCopy(number, "{}", note)(torch.zeros(16_000), utterance_id)
    assert len(set(seeds)) == 4 and all(0 <= seed < 2**64 for seed in seeds)


def test_order_workers_and_random_state_change_nothing(tmp_path, corpus, folder_contents):
    utterances, folder = corpus(4)
    spec = spec_of(NOISE_AND_SPEED)
    run(utterances, folder, tmp_path / "one", spec)
    torch.manual_seed(123)
    random.seed(123)
    backwards = dict(reversed(utterances.items()))
    run(backwards, folder, tmp_path / "other", spec, workers=2)
    assert folder_contents(tmp_path / "one") == folder_contents(tmp_path / "other")


def test_an_interrupted_copy_goes_on_where_it_was_and_ends_the_same(tmp_path, corpus, folder_contents, monkeypatch):
    utterances, folder = corpus(4)
    spec = spec_of(NOISE_AND_SPEED)
    run(utterances, folder, tmp_path / "whole", spec)
    some = dict(list(utterances.items())[:2])
    run(some, folder, tmp_path / "resumed", spec)
    augmented = []
    real = WaveCopy.__call__
    monkeypatch.setattr(WaveCopy, "__call__", lambda copy, *args: augmented.append(args[1]) or real(copy, *args))
    run(utterances, folder, tmp_path / "resumed", spec)
    assert augmented == ["u2", "u3"]
    assert folder_contents(tmp_path / "whole") == folder_contents(tmp_path / "resumed")
    run(utterances, folder, tmp_path / "resumed", spec)
    assert len(augmented) == 2


def test_phones_follow_the_speed_of_the_wave(tmp_path, corpus):
    utterances, folder = corpus(1)
    rows = ["SFrm EFrm SegAScr Phone", "0 4 -1 SIL", "5 13 -1 AY SIL SIL s", "14 24 -1 SIL", "Total score: -3"]
    (folder / "0.phseg").write_text("\n".join(rows))
    utterances["u0"] = replace(utterances["u0"], phones="{data_root}/0.phseg")
    spec = replace(PLAIN, aligner="file")
    stores = run(utterances, folder, tmp_path / "f", spec_of(half_as_fast, spec=spec))
    wave = load_audio(folder / "0.wav")
    found = stores["phones"].read("u0")
    assert len(found) == len(stores["mel"].read("u0")) == num_frames(2 * len(wave))
    # The same alignment with every boundary at twice its time, read by the aligner itself.
    slow = ["SFrm EFrm SegAScr Phone", "0 9 -1 SIL", "10 27 -1 AY SIL SIL s", "28 49 -1 SIL", "Total score: -3"]
    (folder / "0.phseg").write_text("\n".join(slow))
    expected = PhoneExtractor("file")(half_as_fast(wave, 0), utterances["u0"], folder)
    assert expected.unique().tolist() == found.unique().tolist() and len(found.unique()) == 2
    assert (found != expected).sum() <= 2, "a boundary may be off by half a frame of the original"


@pytest.mark.parametrize(("num_samples", "new"), [(4_000, 5_000), (5_000, 4_000), (4_800, 4_800), (400, 1_000)])
def test_the_nearest_frame_in_time_stands_for_each(num_samples, new):
    frames = torch.arange(num_frames(num_samples))
    moments = [number * 320 * num_samples / new for number in range(num_frames(new))]
    found = stretched(frames, num_samples, new)
    for moment, frame in zip(moments, found.tolist(), strict=True):
        distances = [abs(moment - 320 * other) for other in frames.tolist()]
        assert distances[frame] == pytest.approx(min(distances), abs=1e-6)


def test_a_wave_that_becomes_too_short_is_named(tmp_path, corpus):
    utterances, folder = corpus(2)

    def only_its_start(wave, seed):
        return wave[:399] if len(wave) < 4_500 else wave

    with pytest.raises(DataError, match=r"'u0' must hold at least 400 samples at 16 kHz after augmentation, .* 399"):
        run(utterances, folder, tmp_path / "f", spec_of(only_its_start))


def test_the_progress_bar_says_which_copy_it_is(tmp_path, corpus, monkeypatch):
    utterances, folder = corpus(1)
    titles = []
    real = extract_module.tqdm
    monkeypatch.setattr(
        extract_module, "tqdm", lambda *args, **options: titles.append(options["desc"]) or real(*args, **options)
    )
    run(utterances, folder, tmp_path / "f", PLAIN)
    run(utterances, folder, tmp_path / "f", spec_of(half_as_loud, number=2))
    assert titles == ["features", "features, copy 2"]
