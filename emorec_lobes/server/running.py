"""Opens the port, says where, and serves until it is told to stop."""

import ipaddress
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from emorec_lobes.errors import ConfigError
from emorec_lobes.server.limits import Limits

if TYPE_CHECKING:
    from emorec_lobes.inference.recognizer import EmotionRecognizer

TOKEN_VARIABLE = "EMOREC_TOKEN"
_MIN_TOKEN_LENGTH = 16
_CHUNK_BYTES = 2**20  # of a stream; 65 s of int16 at 16 kHz
_CHUNKS_WAITING = 4
_LAST_ANSWERS_S = 10


def read_token(path: Path | None) -> str | None:
    """The token that requests must carry: of a file, else of the environment, else none.

    Arguments
    ---------
    path : Path, optional
        A file that holds the token and nothing else.

    Returns
    -------
    str or None

    Raises
    ------
    ConfigError
        If the file cannot be read, or the token is short or holds what a header cannot.
    """
    if path is None and TOKEN_VARIABLE not in os.environ:
        return None
    name = TOKEN_VARIABLE if path is None else str(path)
    try:
        token = os.environ[TOKEN_VARIABLE] if path is None else path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name} must hold a token, but cannot be read ({error}). Write one into it.") from None
    token = token.strip()
    if len(token) < _MIN_TOKEN_LENGTH or not all("!" <= letter <= "~" for letter in token):
        raise ConfigError(
            f"The token in {name} must be at least {_MIN_TOKEN_LENGTH} letters, digits and signs without a space. "
            "Make one with `openssl rand -hex 32`."
        )
    return token


def listen(host: str, port: int) -> socket.socket:
    """The open port; port 0 takes a free one.

    Raises
    ------
    ConfigError
        If there is no such host or port, or another program has it.
    """
    if not 0 <= port < 2**16:  # the system would take what is left of it after division
        raise ConfigError(f"`--port` must be 0 to 65535, but is {port} instead. Choose another one.")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{host}:{port} cannot be listened on ({reason}). Choose --host and --port.") from None


def is_loopback(host: str) -> bool:
    """Whether a bound address is of this machine alone.

    Example
    -------
    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
    (True, False)
    """
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback


def serve(recognizer: "EmotionRecognizer", limits: Limits, port: socket.socket, token: str | None) -> None:
    """Answers on an open port until SIGINT or SIGTERM; what is under way is answered first.

    Arguments
    ---------
    recognizer : EmotionRecognizer
    limits : Limits
    port : socket.socket
    token : str, optional
    """
    import uvicorn

    from emorec_lobes.server.app import build_app

    host, number = port.getsockname()[:2]
    config = uvicorn.Config(
        build_app(recognizer, limits, token, is_local=is_loopback(host)),
        log_level="warning",
        access_log=False,
        server_header=False,
        ws_max_size=_CHUNK_BYTES,
        ws_max_queue=_CHUNKS_WAITING,
        timeout_graceful_shutdown=_LAST_ANSWERS_S,
    )
    if token is None and not is_loopback(host):
        print(
            f"emorec: warning: {host} can be reached from other machines, and anybody may ask. "
            f"Give --token-file or {TOKEN_VARIABLE}.",
            file=sys.stderr,
        )
    shown = f"[{host}]" if ":" in host else host
    print(f"Serving {', '.join(recognizer.labels)} on http://{shown}:{number} - Ctrl-C stops it.", flush=True)
    # It would write a line for every form that is none, as many as anybody likes to send.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    # uvicorn raises the signal again once it has stopped: then there is nothing left to do.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    uvicorn.Server(config).run(sockets=[port])
