"""Hugging Face speech models of which only the lower layers are computed."""

from torch import nn

# Encoders whose last norm stands behind the last layer, whatever their configuration says.
_NORM_LAST = ("whisper", "wav2vec2-conformer")


def keep_layers(model: nn.Module, num_states: int) -> None:
    """Takes the topmost layers off a model, in place, so that what it gives are the lowest of its hidden states.

    The norm behind the last layer goes with it: in the whole model it changes the last hidden state only.

    Arguments
    ---------
    model : torch.nn.Module
        A model of waves, or Whisper's encoder.
    num_states : int
        Hidden states that remain, fewer than the model has: the input of the first layer is one of them.

    Example
    -------
    >>> from transformers import Wav2Vec2Config, Wav2Vec2Model
    >>> model = Wav2Vec2Model(Wav2Vec2Config(num_hidden_layers=3, hidden_size=96, conv_dim=(8,) * 7))
    >>> keep_layers(model, num_states=2)
    >>> len(model.encoder.layers)
    1
    """
    stack = getattr(model, "encoder", model)
    del stack.layers[num_states - 1 :]
    if getattr(model.config, "do_stable_layer_norm", False) or model.config.model_type in _NORM_LAST:
        stack.layer_norm = nn.Identity()
