"""The command `emorec`: one thin module a command."""
