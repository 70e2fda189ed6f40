"""Lightning: the config that its command line saves in the log directory, and the hyperparameters that loggers save.

What its CSVLogger writes is a `metrics.csv` like any other (`results.py`), what its TensorBoardLogger writes an event
file (`tensorboard.py`).
"""

from __future__ import annotations

import re
from typing import Any

from mltrack.collect.frameworks import Facts, Left, read_small
from mltrack.formats.documents import flatten, parse
from mltrack.formats.yaml_nodes import Broken
from mltrack.records import Warning

NAME = "lightning"

_HEADER = re.compile(rb"#\s*(?:lightning\.pytorch|lightning|pytorch_lightning)==")
_VERSION = re.compile(r"(?:^|/)version_\d+/hparams\.yaml$")


def find(left: Left) -> Facts:
    """The saved config; where there is none, the saved hyperparameters. Of several, the last version's."""
    saved = [path for path in left.written("config.yaml") if has_header(left, path)]
    hparams = [path for path in left.written("hparams.yaml") if _VERSION.search(path)]
    params: dict[str, Any] = {}
    warnings: list[Warning] = []
    for path in saved or hparams:
        try:
            values = parse(read_small(left, path) or b"", ".yaml")
        except Broken as error:
            warnings.append(Warning("framework-unreadable", f"{path}: {error.problem}."))
            continue
        if isinstance(values, dict):
            params.update({name: value for name, value in flatten(values).items() if not name.startswith("_")})
    return Facts(params, files=(*saved, *hparams), warnings=tuple(warnings))


def has_header(left: Left, path: str) -> bool:
    """Did Lightning's command line write it? It begins with a comment that names the package and its version."""
    return bool(_HEADER.match(read_small(left, path) or b""))
