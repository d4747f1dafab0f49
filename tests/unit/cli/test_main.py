"""The command `emorec`: one line and exit code 2 for what the user can mend, a traceback for a bug."""

import errno
import re
import subprocess
import sys
import types

import pytest

from emorec_lobes import __version__
from emorec_lobes.cli import main as cli
from emorec_lobes.errors import DataError


@pytest.fixture
def command(monkeypatch):
    """Replaces the commands by `one`, which does `one.action`, and `broken`, whose module is missing."""
    one = types.ModuleType("one")
    one.HELP = "does one thing"
    one.action = lambda args: 0
    one.add_arguments = lambda parser: parser.add_argument("--data-folder", required=True)
    one.run = lambda args: one.action(args)
    monkeypatch.setitem(sys.modules, "one", one)
    monkeypatch.setattr(cli, "COMMANDS", {"one": "one", "broken": "emorec_lobes.no_such_module"})
    return one


def _raises(error):
    def action(args):
        raise error

    return action


def test_a_command_gets_its_arguments_and_gives_the_exit_code(command):
    command.action = lambda args: {"here": 0, "there": 7}[args.data_folder]
    assert cli.main(["one", "--data-folder", "here"]) == 0
    assert cli.main(["one", "--data-folder", "there"]) == 7


def test_running_one_command_does_not_import_the_others(command):
    assert cli.main(["one", "--data-folder", "x"]) == 0
    with pytest.raises(ModuleNotFoundError):
        cli.main(["broken"])


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DataError("a.wav is empty. Remove it."), "emorec: a.wav is empty. Remove it.\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/full/x"),
            "emorec: /full/x: No space left on device. Free or choose another place.\n",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/x"),
            "emorec: /x: Permission denied. Free or choose another place.\n",
        ),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_exit_code_2(command, capsys, error, line):
    command.action = _raises(error)
    assert cli.main(["one", "--data-folder", "x"]) == 2
    assert capsys.readouterr() == ("", line)


@pytest.mark.parametrize("error", [KeyError("x"), FileNotFoundError(errno.ENOENT, "No such file", "x")])
def test_a_bug_keeps_its_traceback(command, error):
    command.action = _raises(error)
    with pytest.raises(type(error)):
        cli.main(["one", "--data-folder", "x"])


def test_an_interrupt_is_a_short_line_and_exit_code_130(command, capsys):
    command.action = _raises(KeyboardInterrupt())
    assert cli.main(["one", "--data-folder", "x"]) == 130
    assert capsys.readouterr().err == "emorec: interrupted. Run the same command again to go on.\n"


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["oen"], "`command` must be one of one, broken, but is 'oen' instead. Did you mean 'one'?"),
        (["one"], "--data-folder. See `emorec one --help`."),
        (["one", "--data-folder", "x", "--nonsense"], "unrecognized arguments: --nonsense."),
        (["one", "--data", "x"], "--data-folder"),
    ],
)
def test_a_wrong_command_line_is_one_line_that_says_what_is_right(command, capsys, words, part):
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("emorec: ") and part in err and err.count("\n") == 1


def test_the_version_is_the_packages(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"emorec {__version__}\n"


def test_a_reader_that_leaves_early_ends_it_quietly():
    script = (
        "import sys\nfrom emorec_lobes.errors import exit_code_of\n"
        "def action():\n    while True: print('x' * 1000)\n"
        "sys.exit(exit_code_of('emorec', action))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=30) == 141
    assert process.stderr.read() == b""


def test_help_lists_every_command_with_what_it_does(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert [name for name in cli.COMMANDS if not re.search(rf"^    {name}\s", out, re.MULTILINE)] == []


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([name, "--help"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: emorec {name}")
