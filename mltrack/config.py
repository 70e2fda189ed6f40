"""Settings, from weakest to strongest: defaults, the user's file, `mltrack.yaml`, `.mltrack/config.yaml`,
`MLTRACK_CONFIG_*` variables. Flags are laid on top by the operations.

Lists of one layer are added to those of the layer below, single values replace them. An unknown key is an error that
names the nearest known one. YAML is imported only when a file has a line that is not a comment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from mltrack.errors import ConfigError
from mltrack.nouns import noun

PROJECT_FILE = "mltrack.yaml"
CHECKOUT_FILE = "config.yaml"
VARIABLE_PREFIX = "MLTRACK_CONFIG_"

FRAMEWORKS = ("config", "hydra", "lightning", "papermill", "dvc", "trainer", "results", "tensorboard")
"""`config`: the config files that a command names. The others: `collect/frameworks/`."""

_UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1000, "m": 1000**2, "mb": 1000**2, "g": 1000**3, "gb": 1000**3, "tb": 1000**4}
_UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


@noun
class Tolerance:
    """How far a metric may be from the recorded one: absolute, or relative to it."""

    abs: float | None = None
    rel: float | None = None


@noun
class Config:
    """The settings of one project. Sizes are bytes; paths and patterns are relative to the project's root."""

    inputs: tuple[str, ...] = ()
    whole_directories: bool = False
    """Of a directory of which many files were read, record and keep the others too."""
    outputs: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    metrics_stdout: tuple[str, ...] = ()
    """Patterns such as "{name}: {value}" that find metrics in the output."""
    frameworks: tuple[str, ...] = ()
    """Whose files are read for params and metrics that nobody declared: names of FRAMEWORKS, `off`; empty for all."""
    environment_kind: str = "auto"
    environment: Mapping[str, Any] = field(default_factory=dict)
    """The other settings below `environment:`, as the kinds know them: `image`, `mounts`, `lock` ..."""
    push_wheels: bool = False
    push_images: bool = False
    observe_sources: tuple[str, ...] = ()
    """What watches a run's files: names of `observe.SOURCES`, `off` for none; empty for what serves best."""
    observe_include: tuple[str, ...] = ()
    observe_exclude: tuple[str, ...] = ()
    """Patterns of paths that are data, or are none, whatever the rules of `observe/rules.py` say."""
    artifact_limit: int = 20 * 2**30
    """Bytes of a run's artifacts that nobody declared which are kept; more are named and left."""
    keep_limit: int = 2 * 2**30
    untracked_limit: int = 10 * 2**20
    untracked_total: int = 100 * 2**20
    log_limit: int = 64 * 2**20
    tolerance: Mapping[str, Tolerance] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    compare_limit: int = 2**30
    """Bytes of recorded artifacts that a verdict may fetch to compare them."""
    goals: Mapping[str, str] = field(default_factory=dict)
    """Names or patterns of metrics -> `max`, `min` or `none`: which values are better, where the name does not say."""
    remotes: Mapping[str, str] = field(default_factory=dict)


def parse_size(value: Any, key: str) -> int:
    """`10MiB`, `2 GB`, `1500` -> bytes."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", str(value))
    if not match or match[2].lower() not in _UNITS:
        raise ConfigError(f"{key}: {value!r} is not a size.", "Write a number and a unit, such as 10MiB or 2GB.")
    return int(float(match[1]) * _UNITS[match[2].lower()])


def _texts(value: Any, key: str) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
        raise ConfigError(f"{key}: a list of texts is expected here.", f"For example: {key}: [one, two]")
    return tuple(items)


def _choice(value: Any, key: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{key}: a word is expected here.", f"For example: {key}: auto")
    return value


def _tolerances(value: Any, key: str) -> dict[str, Tolerance]:
    if not isinstance(value, dict):
        raise ConfigError(
            f"{key}: a table of metrics is expected here.", f"For example: {key}: {{loss: {{rel: 0.001}}}}"
        )
    found = {}
    for name, limits in value.items():
        limits = {"abs": limits} if isinstance(limits, (int, float)) else limits
        if not isinstance(limits, dict) or not limits or set(limits) - {"abs", "rel"}:
            raise ConfigError(f"{key}.{name}: abs or rel is expected here.", f"For example: {name}: {{abs: 0.005}}")
        try:
            found[str(name)] = Tolerance(**{kind: float(limit) for kind, limit in limits.items()})
        except (TypeError, ValueError):
            raise ConfigError(f"{key}.{name}: a limit is a number.", f"For example: {name}: {{abs: 0.005}}") from None
    return found


def _flag(value: Any, key: str) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if str(value).lower() not in words:
        raise ConfigError(f"{key}: true or false is expected here.", f"For example: {key}: true")
    return words[str(value).lower()]


def _option(check: Callable[[Any, str], Any]) -> Callable[[Any, str], dict[str, Any]]:
    """A setting of the environment's kind: checked here, kept by its own name."""
    return lambda value, key: {key.rpartition(".")[2]: check(value, key)}


def _words(value: Any, key: str) -> str:
    """A word, or a number that YAML made of one."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _choice(value, key)


def _build(value: Any, key: str) -> str | dict[str, Any]:
    if isinstance(value, str):
        return value
    if not isinstance(value, dict) or set(value) - {"context", "dockerfile", "args", "target"}:
        known = "{context: ., dockerfile: Dockerfile, args: {A: b}, target: train}"
        raise ConfigError(f"{key}: a Dockerfile or a table is expected here.", f"For example: {key}: {known}")
    return value


def _variables(value: Any, key: str) -> dict[str, str | None]:
    """`{NAME: text}`, or a list of names that are passed on."""
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return dict.fromkeys(value)
    if not isinstance(value, dict):
        raise ConfigError(f"{key}: variables are expected here.", f"For example: {key}: {{OMP_NUM_THREADS: 4}}")
    return {str(name): None if text is None else str(text) for name, text in value.items()}


def _known(value: Any, key: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Some of a few known words, or `off`."""
    value = "off" if value is False else value  # YAML's own reading of `off`
    found = _texts(value, key)
    if set(found) - {*known, "off"}:
        raise ConfigError(f"{key}: {', '.join((*known, 'off'))} are known here.", f"For example: {key}: [{known[0]}]")
    return found


def _sources(value: Any, key: str) -> tuple[str, ...]:
    return _known(value, key, ("library", "hook", "directories", "trace"))


def _frameworks(value: Any, key: str) -> tuple[str, ...]:
    return _known(value, key, FRAMEWORKS)


def _table(value: Any, key: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{key}: a table is expected here.", f"For example: {key}: {{name: value}}")
    return value


def _goals(value: Any, key: str) -> dict[str, str]:
    """Names or patterns of metrics, and whether larger or smaller is better."""
    example = 'For example: goals: {val_loss: min, "*_score": max, grad_norm: none}'
    if not isinstance(value, dict):
        raise ConfigError(f"{key}: a table of metrics is expected here.", example)
    found = {str(name): "none" if word is None else str(word).lower() for name, word in value.items()}
    for name, word in found.items():
        if word not in ("max", "min", "none"):
            raise ConfigError(f"{key}.{name}: max, min or none is expected here, not {word!r}.", example)
    return found


def _remotes(value: Any, key: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(url, str) for url in value.values()):
        raise ConfigError(
            f"{key}: a table of names and URLs is expected here.", f"For example: {key}: {{origin: s3://b/p}}"
        )
    return {str(name): url for name, url in value.items()}


KEYS: dict[str, tuple[str, Callable[[Any, str], Any]]] = {
    "inputs": ("inputs", _texts),
    "inputs.whole_directories": ("whole_directories", _flag),
    "outputs": ("outputs", _texts),
    "params": ("params", _texts),
    "metrics": ("metrics", _texts),
    "frameworks": ("frameworks", _frameworks),
    "environment.kind": ("environment_kind", _choice),
    "environment.lock": ("environment", _option(_flag)),
    "environment.wheels": ("push_wheels", _flag),
    "environment.images": ("push_images", _flag),
    "environment.image": ("environment", _option(_choice)),
    "environment.build": ("environment", _option(_build)),
    "environment.gpus": ("environment", _option(_words)),
    "environment.mounts": ("environment", _option(_texts)),
    "environment.user": ("environment", _option(_words)),
    "environment.env": ("environment", _option(_variables)),
    "environment.at": ("environment", _option(_choice)),
    "environment.network": ("environment", _option(_choice)),
    "environment.shm": ("environment", _option(parse_size)),
    "environment.options": ("environment", _option(_table)),
    "observe.sources": ("observe_sources", _sources),
    "observe.include": ("observe_include", _texts),
    "observe.exclude": ("observe_exclude", _texts),
    "observe.artifact_limit": ("artifact_limit", parse_size),
    "data.keep_limit": ("keep_limit", parse_size),
    "code.untracked_limit": ("untracked_limit", parse_size),
    "code.untracked_total": ("untracked_total", parse_size),
    "log.limit": ("log_limit", parse_size),
    "verdict.tolerance": ("tolerance", _tolerances),
    "verdict.ignore": ("ignore", _texts),
    "verdict.compare_limit": ("compare_limit", parse_size),
    "goals": ("goals", _goals),
    "remotes": ("remotes", _remotes),
}
"""Key in a settings file -> (field of Config, parser)."""


def load_config(root: Path, variables: Mapping[str, str]) -> Config:
    """The settings of the project at `root`. Raises ConfigError with the file and the key."""
    config = Config()
    for path in (user_file(variables), root / PROJECT_FILE, root / ".mltrack" / CHECKOUT_FILE):
        config = merge(config, read_settings(path), str(path.name))
    return merge(config, from_variables(variables), "the environment")


def user_file(variables: Mapping[str, str]) -> Path:
    home = variables.get("XDG_CONFIG_HOME") or os.path.join(variables.get("HOME", "/nonexistent"), ".config")
    return Path(home) / "mltrack" / "config.yaml"


def read_settings(path: Path) -> dict[str, Any]:
    """The table in a settings file; empty when there is no file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.", "Check its permissions and that it is UTF-8.") from error
    if all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines()):
        return {}
    if text.startswith("{"):
        import json

        try:
            return dict(json.loads(text))  # written by `remote add`; the import of yaml would cost 20 ms
        except ValueError:
            pass
    import yaml

    try:
        table = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{where} is not valid YAML.", str(getattr(error, "problem", error))) from error
    if not isinstance(table, dict):
        raise ConfigError(f"{path} does not hold a table of settings.", "Write `key: value` lines.")
    return table


def merge(config: Config, table: Mapping[str, Any], source: str) -> Config:
    """`config` with a table of settings laid on top."""
    changes: dict[str, Any] = {}
    for key, value in _flatten(table, source):
        name, parse = KEYS[key]
        if key == "metrics":
            value, patterns = _split_metrics(value, f"{source}: {key}")
            changes["metrics_stdout"] = (*config.metrics_stdout, *patterns)
        parsed = parse(value, f"{source}: {key}")
        old = changes.get(name, getattr(config, name))
        changes[name] = (
            (*old, *parsed) if isinstance(old, tuple) else {**old, **parsed} if isinstance(old, Mapping) else parsed
        )
    return replace(config, **changes)


def _split_metrics(value: Any, key: str) -> tuple[list[Any], list[str]]:
    items = value if isinstance(value, list) else [value]
    patterns = [item["stdout"] for item in items if isinstance(item, dict) and set(item) == {"stdout"}]
    for pattern in patterns:
        if not isinstance(pattern, str) or ("{" not in pattern and pattern.strip().lower() != "auto"):
            raise ConfigError(
                f"{key}: a stdout pattern needs a field such as {{value}}.",
                'For example: {stdout: "{name}: {value}"}, or auto.',
            )
    return [item for item in items if not (isinstance(item, dict) and set(item) == {"stdout"})], patterns


def _flatten(table: Mapping[str, Any], source: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in table.items():
        if key in KEYS and not (key == "inputs" and isinstance(value, dict)):
            if value is not None:
                found.append((key, value))
        elif any(known.startswith(f"{key}.") for known in KEYS) and isinstance(value, dict):
            for inner, item in value.items():
                if f"{key}.{inner}" not in KEYS:
                    raise unknown_key(f"{key}.{inner}", source)
                found.append((f"{key}.{inner}", item))
        else:
            raise unknown_key(str(key), source)
    return found


def unknown_key(key: str, source: str) -> ConfigError:
    from difflib import get_close_matches

    near = get_close_matches(key, KEYS, 1, 0.4)
    hint = f"Did you mean {near[0]}?" if near else f"Known keys: {', '.join(KEYS)}."
    return ConfigError(f"{source}: there is no setting called {key}.", hint)


def from_variables(variables: Mapping[str, str]) -> dict[str, Any]:
    """`MLTRACK_CONFIG_DATA_KEEP_LIMIT=1GiB` -> {"data.keep_limit": "1GiB"}; lists are comma-separated."""
    table: dict[str, Any] = {}
    known = {key.replace(".", "_").upper(): key for key in KEYS}
    for name, value in variables.items():
        if not name.startswith(VARIABLE_PREFIX):
            continue
        short = name[len(VARIABLE_PREFIX) :]
        if short not in known:
            raise unknown_key(short.lower(), f"the variable {name}")
        key = known[short]
        if KEYS[key][1] in (_tolerances, _remotes, _goals):
            raise ConfigError(f"{name} cannot be set by a variable.", f"Set {key} in {PROJECT_FILE}.")
        table[key] = value.split(",") if KEYS[key][1] in (_texts, _sources, _frameworks) else value
    return table
