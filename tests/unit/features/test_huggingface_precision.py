"""Half precision gives about what single precision gives, for every family and in any company."""

from functools import cache

import pytest
import torch
from torch.nn.functional import cosine_similarity

from emorec_lobes.features.huggingface_precision import Matrix, MatrixConvolutions
from emorec_lobes.features.speech import load_encoder


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
