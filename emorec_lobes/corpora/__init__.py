"""Corpus readers: a folder as its owner ships it -> utterances -> manifest.json."""
