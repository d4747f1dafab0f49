"""The command `emorec`. A new command is a module and a line in `COMMANDS`.

A command module has `HELP`, `add_arguments(parser)` and `run(args) -> exit code`, and imports what is heavy
inside `run`: `emorec --help` loads neither torch nor numpy.
"""

import argparse
import importlib
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

from emorec_lobes import __version__
from emorec_lobes.errors import EXIT_BAD_INPUT, ConfigError, exit_code_of, not_one_of

COMMANDS = {
    "prepare": "emorec_lobes.cli.prepare",
    "extract": "emorec_lobes.cli.extract",
    "synth": "emorec_lobes.cli.synth",
    "predict": "emorec_lobes.cli.predict",
    "export": "emorec_lobes.cli.export",
    "verify": "emorec_lobes.cli.verify",
    "fuse": "emorec_lobes.cli.fuse",
    "cv": "emorec_lobes.cli.cv",
    "tune": "emorec_lobes.cli.tune",
    "plan": "emorec_lobes.cli.plan",
    "report": "emorec_lobes.cli.report",
    "compare": "emorec_lobes.cli.compare",
    "probe": "emorec_lobes.cli.probe",
    "reproduce": "emorec_lobes.cli.reproduce",
    "serve": "emorec_lobes.cli.serve",
}


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line, like every other complaint."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}. See `{self.prog} --help`.")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Arguments
    ---------
    argv : sequence of str, optional
        The words after `emorec`; those of this process if None.

    Returns
    -------
    int
        The exit code: 0, or 2 after one line on stderr that says what to mend.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    return exit_code_of("emorec", lambda: _run(words))


def _run(words: list[str]) -> int:
    if not words:
        _parser(COMMANDS).print_help()
        return EXIT_BAD_INPUT
    if words[0] in COMMANDS:
        parser = _parser([words[0]])
        args, others = parser.parse_known_args(words)
        if others and not hasattr(args, "overrides"):
            parser.error(f"unrecognized arguments: {' '.join(others)}")
        args.overrides = others
        return args.run(args)
    if not words[0].startswith("-"):
        raise ConfigError(not_one_of("command", words[0], COMMANDS))
    _parser(COMMANDS).parse_args(words)  # --help and --version exit; anything else is an error
    return EXIT_BAD_INPUT


def _parser(commands: Iterable[str]) -> argparse.ArgumentParser:
    """The parser with these commands only, so that the modules of the others are not imported."""
    parser = _Parser(prog="emorec", description="Emotion recognition from speech.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"emorec {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in commands:
        module = importlib.import_module(COMMANDS[name])
        subparser = subparsers.add_parser(name, help=module.HELP, description=module.HELP, allow_abbrev=False)
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":  # as a job of another command
    sys.exit(main())
