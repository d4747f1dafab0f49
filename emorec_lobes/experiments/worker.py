"""`python -m emorec_lobes.experiments.worker RECIPE ARGUMENTS...`: a recipe that ends with whoever started it.

Standard input is a pipe whose other end only the starter holds. When that is closed, because the starter is done with
us or was killed, this process and its data-loading processes end at once; the recipe goes on from there another time.
"""

import os
import runpy
import signal
import sys
import threading


def main() -> None:
    """Runs the recipe as `python RECIPE ARGUMENTS...` would."""
    threading.Thread(target=_end_with_starter, daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")


def _end_with_starter() -> None:
    # Not through sys.stdin, whose lock the interpreter takes when it ends.
    while os.read(0, 1024):
        continue
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
