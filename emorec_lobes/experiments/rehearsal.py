"""What a rehearsal of a paper runs on: spoken corpora, and encoders a few numbers wide, saved as the hub has them."""

import json
import re
import shutil
import string
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from emorec_lobes.corpora import iemocap
from emorec_lobes.corpora.synthetic import make_corpus
from emorec_lobes.experiments.papers import Rehearsal
from emorec_lobes.features.huggingface import quiet

CORPUS, SPEAKERS, ENCODERS = "corpus", "speakers", "encoders"  # the folders it makes
_SEED, _OTHER_VOICES_SEED = 1, 2
_NUM_BYTE_PAIRS = 400
_BERT_SIGNS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ALBERT_SIGNS = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")
_XLNET_SIGNS = ("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>")
_ROBERTA_SIGNS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def make_rehearsal(folder: Path, rehearsal: Rehearsal, encoders: Iterable[str], with_speakers: bool) -> None:
    """Makes what is missing; each part appears whole or not at all.

    Arguments
    ---------
    folder : Path
        Gets `corpus`, `speakers` and `encoders/<hub id>`.
    rehearsal : Rehearsal
    encoders : iterable of str
        Hub ids.
    with_speakers : bool
        Whether other voices are needed, a subfolder each.

    Raises
    ------
    DataError
        If `corpus` holds something else.
    UnavailableError
        If eSpeak NG is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    make_corpus(folder / CORPUS, _SEED, rehearsal.num_turns)
    if with_speakers and not (folder / SPEAKERS).exists():
        with _made_aside(folder / SPEAKERS) as aside:
            _make_speakers(aside, rehearsal.speaker_turns)
    missing = [name for name in encoders if not (folder / ENCODERS / name).exists()]
    if missing:
        texts = sorted({item.text or "" for item in iemocap.read(folder / CORPUS, prefix="synthetic")[0]})
    for name in missing:
        with _made_aside(folder / ENCODERS / name) as aside:
            save_miniature(aside, rehearsal.encoders[name], texts)


def save_miniature(folder: Path, options: Mapping[str, Any], texts: Sequence[str]) -> None:
    """Saves a model of the hub's architecture with random weights, and, if it reads text, a tokenizer of its family.

    Arguments
    ---------
    folder : Path
        Must be there.
    options : mapping
        Its configuration; `cased` says whether the tokenizer keeps capitals.
    texts : sequence of str
        Whose words a tokenizer knows.
    """
    import transformers

    sizes = {key: value for key, value in options.items() if key != "cased"}
    tokenizer = _tokenizer(options["model_type"], options.get("cased", False), texts)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
        sizes["vocab_size"] = len(tokenizer)
        sizes |= {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    config = transformers.AutoConfig.for_model(**sizes)
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(zlib.crc32(folder.name.encode()))  # two of one configuration are not the same model
        transformers.AutoModel.from_config(config).save_pretrained(folder)


def _tokenizer(model_type: str, cased: bool, texts: Sequence[str]) -> Any:
    """None for a model of speech."""
    import transformers

    if model_type == "roberta":
        return _byte_pairs(texts)
    spoken = texts if cased else [text.lower() for text in texts]
    words = sorted({word for text in spoken for word in re.findall(r"[A-Za-z]{2,}", text)})
    letters = string.ascii_letters if cased else string.ascii_lowercase
    pieces = [*words, *letters, *string.digits, *string.punctuation]
    if model_type == "albert":
        return transformers.AlbertTokenizer(_unigrams(_ALBERT_SIGNS, pieces))
    if model_type == "xlnet":
        return transformers.XLNetTokenizer(_unigrams(_XLNET_SIGNS, pieces))
    if model_type in ("bert", "electra"):
        vocabulary = [*_BERT_SIGNS, *pieces, *(f"##{piece}" for piece in pieces)]
        numbered = {token: number for number, token in enumerate(vocabulary)}
        return transformers.BertTokenizer(numbered, do_lower_case=not cased)
    return None


def _unigrams(signs: Sequence[str], pieces: Sequence[str]) -> list[tuple[str, float]]:
    """Pieces as SentencePiece has them: words go before letters."""
    return [
        *((sign, 0.0) for sign in signs),
        *((f"▁{piece}", -2.0) for piece in pieces if len(piece) > 1),
        *((piece, -5.0) for piece in ("▁", *pieces) if len(piece) == 1),
    ]


def _byte_pairs(texts: Sequence[str]) -> Any:
    import tokenizers
    import transformers

    trained = tokenizers.ByteLevelBPETokenizer()
    trained.train_from_iterator(
        texts, vocab_size=_NUM_BYTE_PAIRS, special_tokens=list(_ROBERTA_SIGNS), show_progress=False
    )
    model = json.loads(trained.to_str())["model"]
    return transformers.RobertaTokenizer(model["vocab"], [tuple(merge) for merge in model["merges"]])


def _make_speakers(folder: Path, num_turns: int) -> None:
    """Voices that the corpus does not have, sorted by who speaks."""
    with TemporaryDirectory(dir=folder.parent) as place:
        make_corpus(Path(place) / CORPUS, _OTHER_VOICES_SEED, num_turns)
        for path in sorted((Path(place) / CORPUS).rglob("*.wav")):
            session, gender = path.name[:5], path.stem.rpartition("_")[2][0]
            (folder / f"{session}{gender}").mkdir(exist_ok=True)
            shutil.move(path, folder / f"{session}{gender}" / path.name)


@contextmanager
def _made_aside(folder: Path) -> Iterator[Path]:
    """A new folder that takes its place when all is in it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as place:
        aside = Path(place) / folder.name
        aside.mkdir()
        yield aside
        aside.replace(folder)
