"""Lets SpeechBrain's `foreign_class` find the class that answers; emorec must be installed."""

from emorec_lobes.inference.recognizer import EmotionRecognizer

__all__ = ["EmotionRecognizer"]
