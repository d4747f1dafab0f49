"""Manifest and feature store -> SpeechBrain datasets."""
