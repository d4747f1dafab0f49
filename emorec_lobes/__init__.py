"""Emotion recognition from speech and text: a plug-in toolkit on SpeechBrain."""

import os

# Must be set before torch is loaded. With the default, threads that wait for each other spin, and
# where anything else wants a core (a data loader's worker is enough) a training step takes 3 to
# 30 times as long. An explicit setting of the user's goes before this one.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__version__ = "0.1.0"
