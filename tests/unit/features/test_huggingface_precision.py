"""Half precision gives about what single precision gives, for every family and in any company."""

from functools import cache

import pytest
import torch
from torch.nn.functional import cosine_similarity

from emorec_lobes.errors import ConfigError, UnavailableError
from emorec_lobes.features.huggingface_precision import Int8Matrix, Matrix, MatrixConvolutions, Precise
from emorec_lobes.features.speech import layers_header, load_encoder


@pytest.fixture(scope="module")
def encoder_of(wide_models):
    """(family, precision) -> an encoder."""
    return cache(lambda family, precision: load_encoder(wide_models(family), 4, 64, precision=precision))


def waves(*lengths):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(length, generator=generator) * 0.1 for length in lengths]


def least_cosine(found, expected):
    return min(
        float(cosine_similarity(one.double(), other.double(), dim=-1).min())
        for one, other in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize("family", ["wav2vec2", "hubert", "wavlm"])
def test_half_precision_points_where_single_precision_does(encoder_of, family):
    some = waves(5_000, 8_000)

    found = [encoder_of(family, "bf16").layers(wave) for wave in some]

    expected = [encoder_of(family, "fp32").layers(wave) for wave in some]
    assert all(one.dtype == torch.float32 for one in found)
    assert 0.999 < least_cosine(found, expected) < 1


@pytest.mark.parametrize("family", ["wav2vec2", "hubert", "wavlm"])
def test_half_precision_in_company_is_what_it_is_alone(encoder_of, family):
    encoder, some = encoder_of(family, "bf16"), waves(6_400, 400, 5_000, 6_400)

    found = encoder.batch(some)

    assert [len(one) for one in found] == [len(encoder.layers(wave)) for wave in some]
    assert least_cosine(found, [encoder.layers(wave) for wave in some]) > 0.9995


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(5, 40), (2, 7, 40)])
def test_a_matrix_multiplies_as_one_row_after_the_other_does(dtype, shape):
    weight, bias, rows = (torch.randn(size).to(dtype) for size in ((24, 40), (24,), shape))

    found = Matrix(weight, bias)(rows)

    expected = [(weight.double() @ row.double() + bias.double()) for row in rows.reshape(-1, 40)]
    assert found.dtype == dtype and found.shape == (*shape[:-1], 24)
    assert torch.allclose(found.double().reshape(-1, 24), torch.stack(expected), rtol=1e-2, atol=3e-2)


def test_the_convolutions_are_the_models_own_at_any_length(tiny_models):
    extractor = tiny_models("wav2vec2")[0].feature_extractor

    for length in (400, 401, 719, 720, 5_003):
        [wave] = waves(length)
        batch = torch.stack([wave, wave.flip(0)])
        with torch.no_grad():
            assert torch.allclose(MatrixConvolutions(extractor)(batch), extractor(batch), atol=1e-4)


@pytest.mark.parametrize("family", ["wav2vec2", "hubert", "wavlm"])
def test_int8_points_about_where_single_precision_does_alone_and_in_company(encoder_of, family):
    encoder, some = encoder_of(family, "int8"), waves(6_400, 400, 5_000, 6_400)

    found = encoder.batch(some)

    assert 0.99 < least_cosine(found, [encoder_of(family, "fp32").layers(wave) for wave in some]) < 1
    assert least_cosine(found, [encoder.layers(wave) for wave in some]) > 0.995


@pytest.mark.parametrize("shape", [(5, 40), (2, 7, 40), (1, 40)])
def test_an_int8_matrix_multiplies_as_a_loop_over_rounded_numbers_does(shape):
    weight, bias, rows = torch.randn(24, 40), torch.randn(24), torch.randn(shape) * 100
    rows.view(-1, 40)[0] = 0

    found = Int8Matrix(weight, bias)(rows).view(-1, 24)

    for number, row in enumerate(rows.reshape(-1, 40).double()):
        scale = max(row.abs().max().item(), 1e-30) / 127
        for output, column in enumerate(weight.double()):
            own = column.abs().max().item() / 127
            whole = sum(round(x / scale) * round(y / own) for x, y in zip(row.tolist(), column.tolist(), strict=True))
            assert float(found[number, output]) == pytest.approx(
                whole * scale * own + bias[output].item(), rel=1e-4, abs=2
            )


def test_a_rows_int8_product_is_the_same_in_any_company():
    matrix, rows = Int8Matrix(torch.randn(24, 40), None), torch.randn(9, 40)
    company = torch.cat([rows, torch.randn(30, 40) * 1e4])
    assert torch.equal(matrix(company)[:9], matrix(rows))
    assert torch.equal(matrix(torch.zeros(1, 40)), torch.zeros(1, 24))


def test_int8_answers_but_is_not_stored(wide_models):
    with pytest.raises(ConfigError, match="`precision` must be one of fp32, bf16"):
        layers_header(wide_models("wav2vec2"), 4, 64, precision="int8")


def test_int8_is_for_a_cpu():
    with pytest.raises(ConfigError, match="must be fp32 or bf16 on meta, but is int8"):
        Precise(torch.nn.Linear(4, 2, device="meta"), "int8")


def test_a_processor_that_stops_counting_at_16_bits_is_refused(monkeypatch):
    exact = torch._int_mm
    monkeypatch.setattr(torch, "_int_mm", lambda *args: exact(*args).clamp(max=2**15 - 1))
    with pytest.raises(UnavailableError, match="sum products of int8 exactly"):
        Precise(torch.nn.Linear(40, 2), "int8")
