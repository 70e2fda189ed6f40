"""Params files: what was chosen before the run, flattened with dots.

Reads YAML, JSON, TOML, INI and Python constants; never writes. `edits.py` changes one value of such a file.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from mltrack.errors import UsageError
from mltrack.formats.documents import PARAMS_SUFFIXES, flatten, parse_document, read_bytes
from mltrack.patterns import lazy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path, PurePath
    from typing import Any

_OPTION = lazy(rf"(.*?(?:{'|'.join(re.escape(s) for s in PARAMS_SUFFIXES)}))(?::(.*))?", re.DOTALL | re.IGNORECASE)


def load_params(path: Path, keys: Sequence[str] = ()) -> dict[str, Any]:
    """The params of a file, flattened with dots; lists stay lists. `keys` restricts: a key names itself or a subtree.

    Of a key that stands twice the last counts, as for the libraries that would read the file. Raises UsageError for
    a file that is missing or broken (with its line), holds no names, or lacks one of the keys.
    """
    values = parse_document(path, read_bytes(path))
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise UsageError(f"{path} holds no names, only a {_kind(values)}.", "A params file needs names: `lr: 0.1`.")
    return select(flatten(values), keys, path)


def select(params: Mapping[str, Any], keys: Iterable[str], path: PurePath) -> dict[str, Any]:
    """The params that the keys name. Raises UsageError for a key that names none."""
    keys = tuple(keys)
    if not keys:
        return dict(params)
    chosen: dict[str, Any] = {}
    for key in keys:
        found = {name: value for name, value in params.items() if name == key or name.startswith(f"{key}.")}
        if not found:
            raise UsageError(f"{path} has no key {key!r}.", known_keys(key, params))
        chosen.update(found)
    return {name: value for name, value in params.items() if name in chosen}


def known_keys(key: str, known: Iterable[str], limit: int = 12) -> str:
    """A sentence that lists the known keys, those nearest to `key` first."""
    names = sorted(set(known))
    if not names:
        return "No keys are known."
    shown = nearest(key, names)[:limit]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return f"Known keys: {', '.join(shown)}{more}."


def nearest(key: str, names: Sequence[str]) -> list[str]:
    """The names, those most like `key` first: below it, then with the same last part, then by likeness."""
    import difflib

    last = key.rpartition(".")[2]

    def distance(name: str) -> tuple[bool, bool, float, str]:
        likeness = difflib.SequenceMatcher(None, key.lower(), name.lower()).ratio()
        return not name.startswith(f"{key}."), name.rpartition(".")[2] != last, -likeness, name

    return sorted(names, key=distance)


def parse_params_option(text: str) -> tuple[str, tuple[str, ...]]:
    """`conf/train.toml:optimizer,seed` -> the path and the keys. Raises UsageError if there is a colon and no key.

    The colon that counts is the first one after a suffix of a params file, so a path may hold others.
    """
    matched = _OPTION.fullmatch(text)
    path, listed = (matched[1], matched[2]) if matched else (text, None)
    keys = tuple(key.strip() for key in listed.split(",")) if listed is not None else ()
    if not path or not all(keys) or listed == "":
        raise UsageError(f"--params {text!r} is not FILE or FILE:KEY,KEY.", "For example: params.yaml:optimizer,seed")
    return path, keys


def merge_param_files(files: Sequence[tuple[str, Mapping[str, Any]]]) -> tuple[dict[str, Any], dict[str, str]]:
    """Files' (name, params) as one: the params, and for each key the file that it came from.

    A key that two files have is qualified in both, equal values or not: `lr` of `conf/train.yaml` becomes `train.lr`.
    Where that is taken or not unique it becomes `conf/train.yaml:lr`. A file may be given in several parts.
    """
    contents = _whole(files)
    located = locate_params(files)
    params = {name: contents[path][key] for name, (path, key) in located.items()}
    return params, {name: path for name, (path, _) in located.items()}


def locate_params(files: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, tuple[str, str]]:
    """Name of a param among all files -> (file, key in that file); see `merge_param_files` for the names."""
    contents = _whole(files)
    count = Counter(key for params in contents.values() for key in params)
    short = Counter(_short(path, key) for path, params in contents.items() for key in params if count[key] > 1)
    located: dict[str, tuple[str, str]] = {}
    for path, params in contents.items():
        for key in params:
            name = key
            if count[key] > 1:
                name = _short(path, key)
                if short[name] > 1 or name in count:
                    name = f"{path}:{key}"
            located[name] = (path, key)
    return located


def _whole(files: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    whole: dict[str, dict[str, Any]] = {}
    for path, params in files:
        whole.setdefault(path, {}).update(params)
    return whole


def _short(path: str, key: str) -> str:
    stem = path.rpartition("/")[2].rpartition(".")[0] or path
    return f"{stem}.{key}"


def _kind(value: Any) -> str:
    return "list" if isinstance(value, list) else "single value"
