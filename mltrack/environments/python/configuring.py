"""uv's configuration files, cut down to where packages come from: what else they say would bend an installation.

A project's own files say it, and those of this machine. A restored project is a stranger's: of what it says count
indexes on other hosts and directories of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mltrack.environments.python.distributions import is_below
from mltrack.environments.python.indexes import TRUE
from mltrack.environments.python.lock import load_toml

LISTS = ("index", "extra-index-url", "find-links")
PLACES = (*LISTS, "index-url")
"""Settings that name where packages come from."""

INDEX = ("name", "url", "default", "explicit", "format", "authenticate", "ignore-error-codes")

OF_MACHINE = (
    *PLACES,
    "no-index",
    "index-strategy",
    "keyring-provider",
    "allow-insecure-host",
    "native-tls",
    "system-certs",
    "offline",
    "http-proxy",
    "https-proxy",
    "no-proxy",
    "cache-dir",
    "link-mode",
)
"""Settings of the user and of the machine that count: how an index is asked, and how files get here."""


@contextmanager
def configuration(project: Path, variables: Mapping[str, str], is_foreign: bool) -> Iterator[tuple[str, ...]]:
    """The words that give uv this configuration and no other, while it lasts."""
    from tempfile import NamedTemporaryFile

    with NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file:
        file.write(written(settings_of(project, variables, is_foreign)))
        file.flush()
        yield "--config-file", file.name


def without_configuration(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables without those that name another configuration, or none."""
    return {name: text for name, text in variables.items() if name not in ("UV_CONFIG_FILE", "UV_NO_CONFIG")}


def written(settings: Mapping[str, Any]) -> str:
    import tomli_w

    return tomli_w.dumps(settings)


def settings_of(project: Path, variables: Mapping[str, str], is_foreign: bool) -> dict[str, Any]:
    """What counts of the files that uv would read, which it reads in this order, lists one after the other."""
    if variables.get("UV_NO_CONFIG", "").lower() in TRUE:
        return {}
    named = variables.get("UV_CONFIG_FILE")
    tables = [] if named else [of_project(project, is_foreign)]
    for path in [Path(named)] if named else machine_files(variables):
        tables.append(cut(read(path) or {}, OF_MACHINE, path.parent, False))
    found: dict[str, Any] = {}
    for table in tables:
        for key, value in table.items():
            found[key] = [*found.get(key, []), *value] if key in LISTS else found.get(key, value)
    return found


def machine_files(variables: Mapping[str, str]) -> list[Path]:
    """The files of the user and of the machine."""
    home = Path(variables.get("XDG_CONFIG_HOME") or Path(variables.get("HOME", "/")) / ".config")
    shared = (variables.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    places = (*(Path(place) / "uv" / "uv.toml" for place in shared if place), Path("/etc/uv/uv.toml"))
    return [home / "uv" / "uv.toml", *[path for path in places if path.is_file()][:1]]


def of_project(project: Path, is_foreign: bool) -> dict[str, Any]:
    """What counts of the nearest configuration at or above a project."""
    for place in (project, *project.parents):
        table = read(place / "uv.toml")
        if table is None:
            tool = (read(place / "pyproject.toml") or {}).get("tool")
            table = tool.get("uv") if isinstance(tool, dict) else None
        if isinstance(table, dict):
            return cut(table, PLACES, place, is_foreign)
    return {}


def read(path: Path) -> dict[str, Any] | None:
    """A configuration file; None if it is not there, or damaged."""
    try:
        return load_toml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def cut(table: Mapping[str, Any], names: tuple[str, ...], place: Path, is_foreign: bool) -> dict[str, Any]:
    """These settings of a table, those of its `pip` first, as uv takes them; places that are not allowed left out."""
    own = table.get("pip")
    table = {**table, **own} if isinstance(own, dict) else table
    kept: dict[str, Any] = {key: table[key] for key in names if key in table and key not in PLACES}
    url = placed(table.get("index-url"), place, is_foreign)
    kept |= {"index-url": url} if url else {}
    for key in ("extra-index-url", "find-links"):
        values = [placed(one, place, is_foreign) for one in listed_in(table, key)]
        kept |= {key: [one for one in values if one]} if any(values) else {}
    indexes = [
        {**{key: one[key] for key in INDEX if key in one}, "url": url}
        for one in listed_in(table, "index")
        if isinstance(one, dict) and (url := placed(one.get("url"), place, is_foreign))
    ]
    return kept | ({"index": indexes} if indexes else {})


def listed_in(table: Mapping[str, Any], key: str) -> list[Any]:
    found = table.get(key)
    return found if isinstance(found, list) else []


def placed(word: Any, place: Path, is_foreign: bool) -> str | None:
    """A URL, or the absolute path of a directory; None for what a stranger may not name."""
    if not isinstance(word, str) or not word:
        return None
    if "://" in word:
        try:
            parts = urlsplit(word)
        except ValueError:
            return None
        return word if not is_foreign or (parts.scheme in ("http", "https") and parts.hostname) else None
    path = str(place / Path(word).expanduser())
    return path if not is_foreign or is_below(path, str(place)) else None
