"""`emorec serve`: a model behind HTTP and a page."""

import argparse
from pathlib import Path

from emorec_lobes.errors import UnavailableError

HELP = "answer over HTTP, with a page to record and to drop files on"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    from dataclasses import fields

    from emorec_lobes.server.limits import Limits

    parser.add_argument("--model", metavar="M", help="a run's fold_<k>, an exported folder, or a hub id")
    parser.add_argument("--precision", default="fp32", help="fp32, or bf16 or int8 with Hugging Face models")
    parser.add_argument("--encoder", metavar="DIR", help="the model's encoder, where it is a folder elsewhere now")
    parser.add_argument("--text-encoder", metavar="DIR", help="likewise, that of its texts")
    parser.add_argument("--enrol", type=Path, metavar="DIR", help="a folder with more audio of the one speaker served")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine)")
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="0 takes a free one (default: 8000)")
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="F",
        help="file with the bearer token that requests must carry (default: the variable EMOREC_TOKEN, else none)",
    )
    for item in fields(Limits):
        name, text = f"--{item.name.replace('_', '-')}", f"{item.metadata['description']} (default: {item.default:g})"
        parser.add_argument(name, type=item.type, default=item.default, metavar="N", help=text)


def run(args: argparse.Namespace) -> int:
    """Serves until it is interrupted."""
    from dataclasses import fields

    from emorec_lobes.server.limits import Limits
    from emorec_lobes.server.running import listen, read_token, serve

    limits = Limits(**{item.name: getattr(args, item.name) for item in fields(Limits)})
    token = read_token(args.token_file)
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401
    except ImportError as error:
        raise UnavailableError(
            f"`emorec serve` needs {error.name}. Install it with `pip install 'emorec[serve]'`."
        ) from None
    with listen(args.host, args.port) as port:
        from emorec_lobes.inference.recognizer import EmotionRecognizer
        from emorec_lobes.inference.shipped import shipped_model

        options = {name: getattr(args, name) for name in ("device", "precision", "encoder", "text_encoder", "enrol")}
        durations = {"max_duration_s": limits.max_audio_s, "max_timeline_s": limits.max_audio_s}
        recognizer = EmotionRecognizer.from_hparams(args.model or shipped_model(), **options, **durations)
        serve(recognizer, limits, port, token)
    return 0
