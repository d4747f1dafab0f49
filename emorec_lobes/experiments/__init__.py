"""Runs: from a command line to a folder of results."""
