"""Feature extractors and the store that keeps what they compute."""
