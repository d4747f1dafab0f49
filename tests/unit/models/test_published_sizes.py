import pytest
import torch


def count(*modules):
    return sum(parameter.numel() for module in modules if module is not None for parameter in module.parameters())


@pytest.mark.parametrize(
    ("row", "encoder", "decoder", "classifier", "total"),
    [
        ("small", 55_202_073, 20_849_232, 21_252, 84_427_101),
        ("large", 57_694_233, 21_340_752, 1_590_020, 88_979_549),
        ("mel", 3_521_280, 20_849_232, 21_252, 32_746_308),
    ],
)
def test_every_block_has_the_published_number_of_parameters(published, row, encoder, decoder, classifier, total):
    model = published(row)
    assert count(model.layer_mix, model.encoder) == encoder
    assert count(model.phone_encoder) == 4_006_400
    assert count(model.decoder) == decoder
    assert count(model.postnet) == 4_348_144
    assert count(model.classifier) == classifier
    assert count(model) == total
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(("row", "d", "num_codes"), [("small", 8, 2), ("large", 128, 48)])
def test_shapes_follow_the_published_trace(published, row, d, num_codes):
    model = published(row)
    shapes = {}

    def record(name):
        def hook(module, arguments, output):
            result = output[0] if isinstance(output, tuple) else output
            shapes[name] = (tuple(arguments[0].shape), tuple(result.shape))

        return hook

    for name, module in list(model.named_modules())[1:]:  # all but the model itself
        module.register_forward_hook(record(name))
    with torch.no_grad(), torch.device("meta"):
        out = model(
            torch.empty(2, 96, 25, 1024, dtype=torch.float16),
            torch.empty(2, 256),
            torch.zeros(2, 96, dtype=torch.uint8),
        )
    assert shapes["layer_mix"] == ((2, 96, 25, 1024), (2, 96, 1024))
    assert shapes["encoder.convs"] == ((2, 96, 1280), (2, 96, 2048))
    assert shapes["encoder.lstm"] == ((2, 96, 2048), (2, 96, 2 * d))
    assert shapes["encoder"][1] == out.codes.shape == (2, num_codes, 2 * d)
    assert shapes["classifier.layers"] == ((2, 2 * d * num_codes), (2, 4))
    assert shapes["phone_encoder.convs"] == ((2, 96, 128), (2, 96, 512))
    assert shapes["phone_encoder"] == ((2, 96), (2, 96, 256))
    assert shapes["decoder.lstm_in"] == ((2, 96, 2 * d + 512), (2, 96, 512))
    assert shapes["decoder.convs"] == ((2, 96, 512), (2, 96, 512))
    assert shapes["decoder.lstm_out"] == ((2, 96, 512), (2, 96, 1024))
    assert shapes["postnet"] == ((2, 96, 80), (2, 96, 80))
    assert [len(part.convs.blocks) for part in (model.encoder, model.phone_encoder, model.decoder)] == [3, 3, 3]
    assert len(model.postnet.convs.blocks) == 5
    assert out.logits.shape == (2, 4)
    assert out.mel_first.shape == out.mel.shape == (2, 96, 80)
