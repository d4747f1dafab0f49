"""Errors a user can act on. Each message is one line: what is wrong, where, and the cure.

The package raises these; the command line prints the message and exits with code 2.
"""

import difflib
import errno
import os
import sys
from collections.abc import Callable, Iterable

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE

# What the system refuses because of where the user pointed us, not because of a bug.
_USERS_ERRNOS = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}


class EmorecError(Exception):
    """Base of every error that is the input's fault rather than the program's."""


class ConfigError(EmorecError):
    """A hyperparameter, an option or a combination of them cannot be used."""


class DataError(EmorecError):
    """A corpus, a manifest, an audio file or a label is not what it should be."""


class StoreError(EmorecError):
    """A feature store does not fit what is asked of it, or cannot be written."""


class ProtocolError(EmorecError):
    """An evaluation would not measure what it claims to, e.g. a speaker on both sides."""


class UnavailableError(EmorecError):
    """A library, a model or weights that are needed are not on this machine."""


def not_one_of(name: str, value: object, valid: Iterable[object]) -> str:
    """Builds the message for a value outside a closed set, with the nearest valid one.

    Arguments
    ---------
    name : str
        What the value is, as the user wrote it.
    value : object
        The offending value.
    valid : iterable
        All the values that would do.

    Returns
    -------
    str
        One sentence that lists the valid values.

    Example
    -------
    >>> not_one_of("fold", "sven", ["one", "seven"])
    "`fold` must be one of one, seven, but is 'sven' instead. Did you mean 'seven'?"
    """
    names = [str(item) for item in valid]
    message = f"`{name}` must be one of {', '.join(names)}, but is {str(value)!r} instead."
    near = difflib.get_close_matches(str(value), names, n=1)
    return f"{message} Did you mean {near[0]!r}?" if near else message


def exit_code_of(program: str, action: Callable[[], int]) -> int:
    """Runs a program's main; what the user can mend becomes one line on stderr and an exit code.

    A bug is none of these: it keeps its traceback.

    Arguments
    ---------
    program : str
        What the line begins with, e.g. "emorec".
    action : callable
        Does the work and returns the exit code.

    Returns
    -------
    int
        The action's own code; 2 for bad input or a place that cannot be written to; 130 after Ctrl-C;
        141 if the reader of our output has gone, as after `| head`.

    Example
    -------
    >>> exit_code_of("emorec", lambda: 0)
    0
    """
    try:
        try:
            return action()
        finally:
            sys.stdout.flush()
    except EmorecError as error:
        print(f"{program}: {error}", file=sys.stderr)
    except BrokenPipeError:
        # Python flushes stdout once more at exit; give it somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except OSError as error:
        if error.errno not in _USERS_ERRNOS:
            raise
        place = error.filename or "a file"
        print(f"{program}: {place}: {error.strerror}. Free or choose another place.", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"{program}: interrupted. Run the same command again to go on.", file=sys.stderr)
        return EXIT_INTERRUPTED
    return EXIT_BAD_INPUT
