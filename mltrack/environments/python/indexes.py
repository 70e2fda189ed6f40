"""Where packages come from here: pip's settings as variables that uv reads, so that where pip works, uv does too.

What the user has told uv itself wins. Reads pip's configuration files and variables as pip does (later ones win):
those of the machine, the user, the file that PIP_CONFIG_FILE names, the variables.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from mltrack.nouns import noun

MEANT_ELSEWHERE = frozenset(
    (
        "UV_PYTHON",
        "UV_SYSTEM_PYTHON",
        "UV_BREAK_SYSTEM_PACKAGES",
        "UV_TARGET",
        "UV_PREFIX",
        "UV_CONSTRAINT",
        "UV_BUILD_CONSTRAINT",
        "UV_OVERRIDE",
        "UV_EXCLUDE",
        "UV_EXCLUDE_NEWER",
        "UV_REQUIRE_HASHES",
        "UV_NO_VERIFY_HASHES",
        "UV_NO_BUILD",
        "UV_NO_BUILD_PACKAGE",
        "UV_NO_BINARY",
        "UV_NO_BINARY_PACKAGE",
        "UV_NO_BUILD_ISOLATION",
        "UV_COMPILE_BYTECODE",
        "UV_TORCH_BACKEND",
        "UV_NO_EDITABLE",
        "UV_NO_SOURCES",
        "UV_PROJECT_ENVIRONMENT",
        "UV_PROJECT",
        "UV_WORKING_DIRECTORY",
        "UV_RESOLUTION",
        "UV_PRERELEASE",
        "UV_VENV_SEED",
        "VIRTUAL_ENV",
        "CONDA_PREFIX",
        "CONDA_DEFAULT_ENV",
        "PYTHONPATH",
        "PYTHONHOME",
        "PYTHONINSPECT",
        "PYTHONSTARTUP",
        "__PYVENV_LAUNCHER__",
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
    )
)
"""Variables that would send an installation elsewhere, or bend what a lock says."""

SETTINGS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "index-url": ("UV_DEFAULT_INDEX", ("UV_INDEX_URL",), " "),
    "extra-index-url": ("UV_INDEX", ("UV_EXTRA_INDEX_URL",), " "),
    "find-links": ("UV_FIND_LINKS", (), ","),
    "trusted-host": ("UV_INSECURE_HOST", (), " "),
    "cert": ("SSL_CERT_FILE", (), " "),
    "timeout": ("UV_HTTP_TIMEOUT", (), " "),
    "proxy": ("ALL_PROXY", ("HTTPS_PROXY", "https_proxy", "all_proxy"), " "),
}
"""A setting of pip -> the variable that says it to uv, others that say the same, what stands between several values."""

SPELLINGS = {"default-timeout": "timeout"}
TRUE = ("1", "true", "yes", "on")


@noun
class Settings:
    """How uv is run: its environment variables, and options that no variable can say."""

    variables: Mapping[str, str]
    options: tuple[str, ...]


def installer_settings(variables: Mapping[str, str]) -> Settings:
    """The user's variables without those meant for another place, with pip's settings added."""
    result = {name: text for name, text in variables.items() if name not in MEANT_ELSEWHERE}
    settings = pip_settings(variables)
    for setting, (name, others, between) in SETTINGS.items():
        values = [word for word in settings.get(setting, "").split() if setting != "find-links" or is_there(word)]
        if values and not any(variables.get(known) for known in (name, *others)):
            result[name] = between.join(values)
    if "extra-index-url" in settings or "find-links" in settings:
        # pip takes a version from whichever index has it; uv stops at the first index that knows the name.
        result.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    no_index = variables.get("UV_NO_INDEX") or settings.get("no-index", "")
    return Settings(result, ("--no-index",) if no_index.lower() in TRUE else ())


def any_index(settings: Settings) -> Settings:
    """Every index may have a version, not only the first one that knows the name. For what is pinned by hashes: there
    it cannot be a stranger's."""
    return Settings({**settings.variables, "UV_INDEX_STRATEGY": "unsafe-best-match"}, settings.options)


def first_from(settings: Settings, index: str) -> Settings:
    """Ask this index before those that are configured."""
    others = settings.variables.get("UV_INDEX", "")
    return any_index(Settings({**settings.variables, "UV_INDEX": f"{index} {others}".strip()}, settings.options))


@cache
def default_index() -> str:
    """The index that pip and uv ask where nothing is configured, without its last slash; uv says it, asking nobody."""
    from mltrack.environments.python.installer import find_uv

    words = [find_uv(os.environ), "pip", "compile", "--no-config", "--no-header", "--quiet", "--emit-index-url", "-"]
    variables = {name: text for name, text in os.environ.items() if not name.startswith(("UV_", "PIP_"))}
    done = subprocess.run(words, input=b"", env=variables, capture_output=True, timeout=60, check=True)
    return done.stdout.decode().partition("--index-url")[2].split()[0].rstrip("/")


def main_index(settings: Settings) -> str:
    """The index that is asked last, or alone: the configured one, else the default."""
    variables = settings.variables
    return variables.get("UV_DEFAULT_INDEX") or variables.get("UV_INDEX_URL") or default_index()


def is_configured(settings: Settings, index: str) -> bool:
    """Is this index, whose URL is without credentials, asked anyway?"""
    variables = settings.variables
    words = [main_index(settings)]
    words += variables.get("UV_INDEX", "").split() + variables.get("UV_EXTRA_INDEX_URL", "").split()
    return plain(index) in map(plain, words)


def plain(index: str) -> str:
    """The URL of an index without its name (`name=URL`), credentials and last slash."""
    from mltrack.environments.python.distributions import without_credentials

    name, _, url = index.partition("=")
    return without_credentials(url if url and "://" not in name else index).rstrip("/")


def only_from(directory: Path, settings: Settings) -> Settings:
    """Ask no index at all: a directory of wheels has everything."""
    meant = ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX")
    variables = {name: text for name, text in settings.variables.items() if name not in meant}
    return Settings(variables, ("--no-index", "--offline", "--find-links", str(directory)))


def beside(directory: Path, settings: Settings) -> Settings:
    """Look in a directory of wheels too."""
    places = [place for place in settings.variables.get("UV_FIND_LINKS", "").split(",") if place]
    words = [word for place in (str(directory), *places) for word in ("--find-links", place)]
    return Settings(settings.variables, (*settings.options, *words))


def is_there(place: str) -> bool:
    """Can packages be looked for in this place? pip passes over a directory that is not there; uv stops at it."""
    return "://" in place or Path(place).expanduser().exists()


def pip_settings(variables: Mapping[str, str]) -> dict[str, str]:
    """pip's own settings for `install`, as words separated by blanks."""
    settings: dict[str, str] = {}
    for path in pip_files(variables):
        settings.update(read_pip_file(path))
    for name, text in variables.items():
        if name.startswith("PIP_") and text:
            setting = name[len("PIP_") :].lower().replace("_", "-")
            settings[SPELLINGS.get(setting, setting)] = text
    return settings


def pip_files(variables: Mapping[str, str]) -> list[Path]:
    """pip's configuration files, in the order in which later ones win; none if PIP_CONFIG_FILE is the null device."""
    named = variables.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    home = Path(variables.get("HOME", "/"))
    config = Path(variables.get("XDG_CONFIG_HOME") or home / ".config")
    shared = (variables.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)
    files = [*(Path(place) / "pip" / "pip.conf" for place in shared), Path("/etc/pip.conf")]
    files += [home / ".pip" / "pip.conf", config / "pip" / "pip.conf"]
    files += [home / "Library" / "Application Support" / "pip" / "pip.conf"]
    return files + ([Path(named)] if named else [])


def read_pip_file(path: Path) -> dict[str, str]:
    """The settings of one file for `install`; a file that is absent or broken has none."""
    import configparser

    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, configparser.Error):
        return {}
    settings = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            settings.update({key.replace("_", "-"): text for key, text in parser.items(section)})
    return {SPELLINGS.get(key, key): text for key, text in settings.items()}
