"""The arithmetic of a plan, and the sample that it measures."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.experiments.plan_fold import FoldCost, Lengths
from emorec_lobes.experiments.plan_sample import line, sample, sample_fold
from emorec_lobes.experiments.plan_savings import Bill, savings
from emorec_lobes.experiments.plan_stores import Extraction, StoreCost, extraction_cost
from emorec_lobes.experiments.settings import Settings
from emorec_lobes.features.store import FeatureStore, StoreHeader
from emorec_lobes.units import num_frames

COST = FoldCost(
    fixed_s=10.0, update_s=0.5, fastest_update_s=0.4, evaluation_s=(1.0, 0.1), saving_s=2.0, num_answers=1, fit_s=0.0,
    checkpoint_bytes=1000, other_bytes=50,
)  # fmt: skip
LENGTHS = Lengths(num_train=100, valid=30.0, test=20.0, num_updates=300, num_validations=3, num_trainings=1)


def utterances(count=50, label=lambda number: "sad"):
    """Utterances of 1 to 6 s; the one with number 17 is much longer."""
    seconds = np.random.default_rng(1).uniform(1, 6, count)
    items = {}
    for number, duration in enumerate(seconds):
        key = f"x_{number}"
        items[key] = Utterance(key, "a.wav", 30.0 if number == 17 else float(duration), label(number), "", text="a" * 9)
    return items


def settings(**values):
    """Settings of nothing but these values."""
    return Settings(None, "", {}, values, {"labels": ["sad"], **values})


def test_a_fold_takes_the_sum_of_its_parts():
    parts = COST.seconds(LENGTHS)
    assert parts["updates"] == 300 * 0.5
    assert parts["validations"] == pytest.approx(3 * (1 + 0.1 * 30))
    assert parts["answers"] == pytest.approx((1 + 0.1 * 30) + (1 + 0.1 * 20))
    assert parts["checkpoints"] == 3 * 2.0 and parts["rest"] == 10.0
    assert COST.num_bytes(LENGTHS) == 2 * 1000 + 50


def test_training_again_on_all_takes_its_updates_and_a_checkpoint_more():
    again = replace(LENGTHS, num_trainings=2)
    assert COST.seconds(again)["updates"] == 2 * COST.seconds(LENGTHS)["updates"]
    assert COST.num_bytes(again) == COST.num_bytes(LENGTHS) + 1000


def bill(num_folds, jobs=1, updates_per_fold=300, **more):
    """The bill of some folds of one seed."""
    parts = COST.seconds(replace(LENGTHS, num_updates=updates_per_fold))
    return Bill(
        num_runs=1, num_folds=num_folds, num_there=0, jobs=jobs, threads=1,
        fold_parts_s={name: num_folds * seconds for name, seconds in parts.items()},
        fold_bytes=num_folds * 2050, num_updates=num_folds * updates_per_fold, update_s=0.5,
        checkpoint_bytes=1000, **{"extraction": Extraction(), "process_s": 0.0, **more},
    )  # fmt: skip


def test_time_goes_with_updates_folds_and_the_inverse_of_jobs():
    one = bill(1).seconds
    assert bill(6).seconds == pytest.approx(6 * one) and bill(6, jobs=2).seconds == pytest.approx(3 * one)
    assert bill(5, jobs=2).seconds == pytest.approx(3 * one)  # the last fold is alone
    assert bill(1, updates_per_fold=600).seconds - one == pytest.approx(300 * 0.5)
    assert bill(0).seconds == 0


def test_each_process_starts_once_and_the_first_seed_is_prepared_alone():
    assert bill(5, process_s=7.0).seconds - bill(5).seconds == pytest.approx(7.0 * (1 + 5 + 1))


def test_a_line_never_falls_below_nothing():
    assert line([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]) == pytest.approx((2.0, 0.0))
    generator = np.random.default_rng(3)
    sizes = generator.uniform(1, 10, 200)
    found = line(list(sizes), list(0.3 + 0.7 * sizes + generator.normal(0, 0.05, 200)))
    assert found == pytest.approx((0.3, 0.7), abs=0.03)


def test_a_sample_is_spread_over_sizes_and_has_the_largest_and_each_class():
    items = utterances(label=lambda number: "angry" if number == 3 else "sad")
    chosen = sample(settings(encoder_padding="centred", labels=["angry", "sad"]), items)
    assert len(chosen) <= 13 and {"x_3", "x_17"} <= set(chosen)
    usual = [item.duration for key, item in chosen.items() if key != "x_17"]
    everything = [item.duration for key, item in items.items() if key != "x_17"]
    assert np.mean(usual) == pytest.approx(np.mean(everything), rel=0.1)
    fold = sample_fold(chosen, has_valid=True)
    assert "x_17" not in fold.train and "x_17" in fold.valid and set(fold.test) < set(fold.valid)


def test_a_sample_of_dialogues_takes_the_turns_before():
    items = {
        key: replace(item, duration=0.0, wav="", text="a" * (1 + number % 7), dialog="d", turn=number)
        for number, (key, item) in enumerate(utterances(200).items())
    }
    chosen = sample(settings(brackets="keep", context_turns=2, encoder="minilm"), items)
    held = {(item.dialog, item.turn) for item in chosen.values()}
    last = {key: item for key, item in chosen.items() if item.turn == max(turn for _, turn in held)}
    for item in last.values():
        assert (item.dialog, item.turn - 1) in held and (item.dialog, item.turn - 2) in held
    assert all(item.dialog != "d" for item in chosen.values())  # each copy of a dialogue is one of its own


@pytest.fixture()
def stores(tmp_path):
    """`stores(root, ids)`: fills stores of frames on the grid and one of a frame an utterance, as `extract` does."""
    on_grid = StoreHeader("layers-x", {"version": 1}, 16_000, 0.02, (2, 5), "float16")
    small = replace(on_grid, dtype="int8")
    single = StoreHeader("speaker", {"version": 1}, 16_000, None, (8,), "float32")

    def fill(root, items):
        opened = [FeatureStore.open(root, header) for header in (on_grid, small, single)]
        for key, item in items.items():
            count = num_frames(round(item.duration * 16_000))
            on_grid_frames = torch.rand(count, 2, 5)
            for store, frames in zip(opened, (on_grid_frames, on_grid_frames, torch.rand(1, 8)), strict=True):
                store.write(key, frames, audio_hash="0" * 64, source=(item.wav, 1, 2, None, None))
        return opened

    return fill


def bytes_of(store, keys):
    """The bytes of some utterances' files."""
    return sum((store.folder / store.entry(key).file).stat().st_size for key in keys)


def test_bytes_of_stores_are_those_of_the_real_ones(stores, tmp_path):
    items = utterances()
    few = sample(settings(encoder_padding="centred"), items)
    stores(tmp_path / "few", few)
    planned = extraction_cost(tmp_path / "few", tmp_path / "none", few, items, began=0.0, workers=0)
    real = {store.folder.name: store for store in stores(tmp_path / "all", items)}
    assert {cost.name for cost in planned.stores} == set(real)
    for cost in planned.stores:
        store = real[cost.name]
        expected = bytes_of(store, items) + (store.folder / "index.jsonl").stat().st_size
        assert cost.num_bytes == pytest.approx(expected, rel=0.01)
        blocks = [path.stat().st_size for path in store.folder.rglob("*.*") if path.name != "header.json"]
        folders = len({store.entry(key).file[:2] for key in items})
        in_blocks = 4096 * (sum(-(-size // 4096) for size in blocks) + folders)
        assert cost.disk_bytes == pytest.approx(in_blocks, rel=0.01)
        assert cost.num_there == 0 and cost.num_missing == len(items)


def test_what_is_in_a_store_is_not_counted_again(stores, tmp_path):
    items = utterances()
    few = sample(settings(encoder_padding="centred"), items)
    stores(tmp_path / "few", few)
    half = dict(list(items.items())[:25])
    stores(tmp_path / "real", half)
    whole, rest = (
        extraction_cost(tmp_path / "few", tmp_path / name, few, items, began=0.0, workers=0)
        for name in ("none", "real")
    )
    done = extraction_cost(tmp_path / "few", tmp_path / "real", few, half, began=0.0, workers=0)
    assert [cost.num_there for cost in rest.stores] == [25, 25, 25]
    assert rest.disk_bytes < whole.disk_bytes and 0 < rest.stores[0].seconds < whole.stores[0].seconds
    assert done.disk_bytes == 0 and done.seconds == 0


def test_a_saving_is_offered_only_where_it_saves_and_three_at_most():
    stores = [StoreCost(f"layers-x{copy}-0f", 0, 9, 90, 1000, 5.0) for copy in ("", "-copy1", "-copy2")]
    values = settings(wave_copies=2, num_layers=3, encoder_dim=256, updates_per_validation=100, number_of_updates=300)
    due = bill(4, extraction=Extraction(tuple(stores)))
    found = {each.options: each for each in savings(values, due, None, None, cores=1)}
    assert found["--wave_copies 1"].disk_bytes == 1000 and found["--wave_copies 1"].seconds == 5.0
    assert found["--encoder mel --num_layers 1 --encoder_dim 80"].disk_bytes == round(3000 * (1 - 80 / 768))
    assert "--precision bf16" not in found
    slower = savings(values, due, 0.6, None, cores=1)
    assert "--precision bf16" not in {each.options for each in slower}
    faster = {each.options: each for each in savings(values, due, 0.1, 0.5, cores=4)}
    assert len(faster) == 3 and faster["--precision bf16"].seconds == pytest.approx(4 * 300 * 0.4)
