"""What every environment kind keeps to. A new kind adds a situation in which it applies, and passes all of this."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mltrack import plugins
from mltrack.environments import EnvironmentKind, Found, RebuildRequest, Request, choose, get
from mltrack.errors import MltrackError
from mltrack.records import Warning
from tests.environments.making import uv, variables, venv, wheel
from tests.helpers import tree_of, write

KINDS = plugins.names("environments")


@dataclass(frozen=True)
class Situation:
    """A command in a project, and the words that it prints when it is run in the rebuilt environment."""

    argv: tuple[str, ...]
    prints: str


def python_situation(root: Path) -> Situation:
    wheel(root / "wheels", "alpha", "1.0")
    made = venv(root / "venv", "alpha", wheels=root / "wheels")
    return Situation((str(made), "-c", "import alpha; print(alpha.VERSION)"), "1.0\n")


def system_situation(root: Path) -> Situation:
    return Situation(("sh", "-c", "echo hello"), "hello\n")


SITUATIONS: dict[str, Callable[[Path], Situation]] = {"python": python_situation, "system": system_situation}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> EnvironmentKind:
    return get(request.param)


@pytest.fixture
def situation(kind: EnvironmentKind, tmp_path: Path) -> Situation:
    assert kind.NAME in SITUATIONS, f"add a situation for the kind {kind.NAME!r}"
    return SITUATIONS[kind.NAME](tmp_path)


def asked(tmp_path: Path, situation: Situation) -> Request:
    project = tmp_path / "project"
    write(project, {"train.py": "print()\n"})
    return Request(situation.argv, project, variables(), tmp_path / "cache", project)


def to_rebuild(tmp_path: Path, found: Found, situation: Situation) -> RebuildRequest:
    workspace = tmp_path / "workspace"
    write(workspace, {"train.py": "print()\n"})
    given = variables(UV_NO_INDEX="1", UV_FIND_LINKS=str(tmp_path / "wheels"))
    return RebuildRequest(found.environment, found.lock, situation.argv, workspace, tmp_path / "built" / "x", given)


def test_it_is_called_what_it_is_registered_as(kind: EnvironmentKind, request: pytest.FixtureRequest) -> None:
    assert request.node.callspec.params["kind"] == kind.NAME
    assert kind.NAME.isidentifier()
    assert all(callable(getattr(kind, name)) for name in ("applies", "capture", "rebuild"))


def test_auto_finds_it(kind: EnvironmentKind, situation: Situation, tmp_path: Path) -> None:
    assert kind.applies(asked(tmp_path, situation))
    assert choose(asked(tmp_path, situation)).NAME == kind.NAME


def test_it_can_be_asked_for_by_name(kind: EnvironmentKind, situation: Situation, tmp_path: Path) -> None:
    assert choose(asked(tmp_path, situation), kind.NAME) is kind


@pytest.mark.parametrize("argv", [(), ("",), ("\0",), ("/nowhere",), ("env",), ("a\nb\udcff",), ("uv", "run"), (".",)])
def test_a_strange_command_raises_nothing(kind: EnvironmentKind, tmp_path: Path, argv: tuple[str, ...]) -> None:
    assert kind.applies(Request(argv, tmp_path, {"PATH": "/bin"}, tmp_path / "cache")) in (True, False)


def test_capturing_says_what_the_record_needs(kind: EnvironmentKind, situation: Situation, tmp_path: Path) -> None:
    found = kind.capture(asked(tmp_path, situation))
    environment = found.environment
    assert environment.kind == kind.NAME
    assert environment.digest is not None
    assert environment.digest.startswith("b3:")
    assert environment.lockfile is None
    assert all(isinstance(warning, Warning) and warning.message.endswith(".") for warning in found.warnings)
    assert all(Path(source).is_absolute() for source in found.local_sources)


def test_capturing_twice_says_the_same(kind: EnvironmentKind, situation: Situation, tmp_path: Path) -> None:
    request = asked(tmp_path, situation)
    assert kind.capture(request) == kind.capture(request) == kind.capture(replace(request, cache=tmp_path / "other"))


def test_capturing_changes_nothing_in_the_project(kind: EnvironmentKind, situation: Situation, tmp_path: Path) -> None:
    request = asked(tmp_path, situation)
    before = tree_of(request.cwd)
    kind.capture(request)
    assert tree_of(request.cwd) == before


def test_the_place_leaves_no_trace_in_digest_and_lock(kind: EnvironmentKind, tmp_path: Path) -> None:
    found = []
    for name in ("here", "some where else"):
        (tmp_path / name).mkdir()
        found.append(kind.capture(asked(tmp_path / name, SITUATIONS[kind.NAME](tmp_path / name))))
    assert found[0].environment.digest == found[1].environment.digest
    assert found[0].lock == found[1].lock
    assert str(tmp_path).encode() not in (found[0].lock or b"")


def test_a_cache_that_cannot_be_used_is_no_harm(kind: EnvironmentKind, situation: Situation, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    request = replace(asked(tmp_path, situation), cache=tmp_path / "file" / "cache")
    assert kind.capture(request).environment.kind == kind.NAME


def test_what_was_captured_is_built_again(kind: EnvironmentKind, situation: Situation, tmp_path: Path) -> None:
    import subprocess

    found = kind.capture(asked(tmp_path, situation))
    shutil.rmtree(tmp_path / "venv", ignore_errors=True)  # nothing of the old one may be used
    request = to_rebuild(tmp_path, found, situation)
    before = tree_of(request.workspace)
    for _ in range(2):
        rebuilt = kind.rebuild(request)
        given = {**request.variables, **{name: text for name, text in rebuilt.variables.items() if text is not None}}
        done = subprocess.run(rebuilt.argv, cwd=request.workspace, env=given, capture_output=True, text=True)
        assert done.stdout == situation.prints
        assert all(isinstance(warning, Warning) for warning in rebuilt.warnings)
    assert tree_of(request.workspace) == before


def test_a_damaged_lock_is_an_error_of_ours(kind: EnvironmentKind, situation: Situation, tmp_path: Path) -> None:
    found = kind.capture(asked(tmp_path, situation))
    for lock in ((found.lock or b"") + b"\xff\xfe --index-url x\n", b"# x\n\0"):
        with pytest.raises(MltrackError):
            kind.rebuild(replace(to_rebuild(tmp_path, found, situation), lock=lock))


def test_the_installer_of_these_tests_works() -> None:
    assert uv("--version").startswith("uv ")
