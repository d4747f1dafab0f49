"""A fusion among runs of recipes: what `emorec fuse` leaves, told as a recipe's record tells it."""

import hashlib
import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

RECIPE = "emorec fuse"


def as_run(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """A fusion's record with a command, a seed and the statement on speaker statistics; any other as it is.

    The seed is that of the inputs, and what differs between seeds (the weights, the inputs' digests) is no part of what
    makes two fusions one system.

    Example
    -------
    >>> as_run({"uar": 0.5})
    {'uar': 0.5}
    """
    if "fusion" not in record:
        return record
    fusion, inputs = record["fusion"], record["fusion"]["inputs"]
    stamps = [source["stamp"] for source in inputs]
    given = fusion["folds"][0]
    overrides = {"calibrate": "True"} if given["temperatures"] else {}
    if fusion["method"] == "weights":
        overrides["weights"] = " ".join(f"{weight:g}" for weight in given["weights"])
    # What follows a dot would be taken for the ending of a file.
    names = re.sub(r"[./]", "_", "+".join(source["name"] for source in inputs))
    identity = json.dumps([fusion["method"], names, overrides])
    command = {
        "recipe": RECIPE,
        "hparams": f"fusion_{fusion['method']} {names}",
        "overrides": overrides,
        "fingerprint": hashlib.sha256(identity.encode()).hexdigest()[:12],
    }
    over = [str(stamp.get("speaker_statistics_over", "not stated")) for stamp in stamps]
    stamp = {
        **record["stamp"],
        "seed": next((stamp["seed"] for stamp in stamps if "seed" in stamp), 0),
        "speaker_statistics_over": next((each for each in over if each != "nothing"), "nothing"),
    }
    return {**record, "command": command, "stamp": stamp, "fingerprint": {"config": record["fingerprint"]["config"]}}


def fusion_line(record: Mapping[str, Any], folder: str) -> str:
    """One line of shell that fuses again, into `folder`."""
    fusion, overrides = record["fusion"], record["command"]["overrides"]
    words = [RECIPE, *(shlex.quote(source["path"]) for source in fusion["inputs"])]
    words += ["--weights", overrides["weights"]] if "weights" in overrides else ["--method", fusion["method"]]
    words += ["--calibrate"] if "calibrate" in overrides else []
    return " ".join([*words, "--to", shlex.quote(folder)])
