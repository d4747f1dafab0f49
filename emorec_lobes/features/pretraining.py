"""What encoders saw before they come here, as far as their authors say."""

RESEMBLYZER = "LibriSpeech, VoxCeleb1, VoxCeleb2"

_LIBRISPEECH, _LIBRI_LIGHT = "LibriSpeech", "Libri-Light"
_WAVLM = "Libri-Light, GigaSpeech, VoxPopuli"
_BOOKS = "BookCorpus, English Wikipedia"
_XLNET = "BookCorpus, English Wikipedia, Giga5, ClueWeb 2012-B, Common Crawl"

# Source: the paper of each model, and the model card where one was fine-tuned.
SEEN = {
    "mel": "nothing",
    "tfidf": "nothing",
    "resemblyzer": RESEMBLYZER,
    "facebook/wav2vec2-base": _LIBRISPEECH,
    "facebook/wav2vec2-base-960h": f"{_LIBRISPEECH}, with its transcripts",
    "facebook/wav2vec2-large": _LIBRISPEECH,
    "facebook/wav2vec2-large-960h": f"{_LIBRISPEECH}, with its transcripts",
    "facebook/wav2vec2-large-lv60": _LIBRI_LIGHT,
    "facebook/wav2vec2-large-960h-lv60": f"{_LIBRI_LIGHT}; LibriSpeech, with its transcripts",
    "facebook/wav2vec2-large-960h-lv60-self": f"{_LIBRI_LIGHT}; LibriSpeech, with its transcripts",
    "facebook/hubert-base-ls960": _LIBRISPEECH,
    "facebook/hubert-large-ll60k": _LIBRI_LIGHT,
    "microsoft/wavlm-base": _LIBRISPEECH,
    "microsoft/wavlm-base-plus": _WAVLM,
    "microsoft/wavlm-large": _WAVLM,
    "google-bert/bert-large-uncased": _BOOKS,
    "google-bert/bert-large-cased": _BOOKS,
    "google-bert/bert-large-uncased-whole-word-masking": _BOOKS,
    "albert/albert-large-v2": _BOOKS,
    "xlnet/xlnet-large-cased": _XLNET,
    "google/electra-large-discriminator": _XLNET,
    "FacebookAI/roberta-large": f"{_BOOKS}, CC-News, OpenWebText, Stories",
    "minilm": "pairs of sentences from Reddit comments, S2ORC, WikiAnswers, Stack Exchange, MS MARCO and others",
}


def seen_in_pretraining(encoder: str) -> str:
    """The data that an encoder learnt from.

    Arguments
    ---------
    encoder : str
        As a hyperparameter file names it.

    Returns
    -------
    str
        "unknown" for a folder, and for what this table does not hold.

    Example
    -------
    >>> seen_in_pretraining("facebook/wav2vec2-large-lv60"), seen_in_pretraining("my/encoder")
    ('Libri-Light', 'unknown')
    """
    return SEEN.get(encoder, "unknown")
