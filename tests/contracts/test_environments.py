"""What every environment kind keeps to. A new kind adds a situation to `situations.py`, and passes all of this.

Kinds of plug-ins that are installed are among them: this suite runs from outside too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mltrack import environments, plugins
from mltrack.environments import (
    EnvironmentKind,
    Finding,
    Found,
    RebuildRequest,
    Rebuilt,
    Recorded,
    Request,
    StartRequest,
    choose,
    get,
)
from mltrack.errors import MltrackError
from mltrack.noun_json import to_dict
from mltrack.records import Warning
from tests.contracts.situations import NEEDS, SECRET, SITUATIONS, Situation
from tests.environments.making import uv, variables
from tests.helpers import tree_of, write

KINDS = [
    pytest.param(name, marks=[pytest.mark.needs(NEEDS[name])] if name in NEEDS else [])
    for name in plugins.names("environments")
    if name in SITUATIONS
]
FLIPS = 60 * int(os.environ.get("MLTRACK_SOAK", "1"))


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> EnvironmentKind:
    return get(request.param)


@pytest.fixture
def situation(kind: EnvironmentKind, tmp_path: Path) -> Situation:
    return situation_in(tmp_path, kind)


def situation_in(root: Path, kind: EnvironmentKind) -> Situation:
    write(root / "project", {"train.py": "print()\n"})
    return SITUATIONS[kind.NAME](root)


def asked(root: Path, situation: Situation) -> Request:
    project = root / "project"
    given = variables(**situation.variables)
    return Request(situation.argv, project, given, root / "cache", project, situation.options, may_ask=False)


def capture(kind: EnvironmentKind, root: Path, situation: Situation) -> Found:
    """Capture as an operation does: a kind that is entered is started first."""
    return kind.capture(with_facts(kind, asked(root, situation), root))


def with_facts(kind: EnvironmentKind, request: Request, root: Path) -> Request:
    (root / "run").mkdir(exist_ok=True)
    started = environments.start(kind, StartRequest(request, root / "run", {}))
    return replace(request, facts=started.facts) if started is not None else request


def recorded(root: Path, found: Found, situation: Situation) -> Recorded:
    """As it comes back from a record, trees laid out as the store lays them out."""

    def lay_out(name: str) -> Path | None:
        for path, source in found.trees.get(name, {}).items():
            target = root / "laid-out" / name / path
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
        return root / "laid-out" / name if found.trees.get(name) else None

    for name in found.trees:
        lay_out(name)
    kept = replace(found, trees={name: tree_from(root / "laid-out" / name) for name in found.trees})
    environment = replace(found.environment, trees=dict.fromkeys(found.trees, f"b3:{'0' * 64}"))
    place = {name: root / "laid-out" / name for name in kept.trees}
    given = variables(**situation.variables)
    return Recorded(environment, found.lock, given, root / "cache", place.get, situation.options, is_ours=True)


def tree_from(place: Path) -> dict[str, Path]:
    return {path.relative_to(place).as_posix(): path for path in place.rglob("*") if path.is_file()}


def to_rebuild(root: Path, found: Found, situation: Situation) -> RebuildRequest:
    workspace = root / "workspace"
    write(workspace, {"train.py": "print()\n"})
    return RebuildRequest(recorded(root, found, situation), situation.argv, workspace, root / "built" / "x")


def run(kind: EnvironmentKind, rebuilt: Rebuilt, request: RebuildRequest, root: Path) -> str:
    """What the rebuilt command prints, started as `reproduce` starts it."""
    given = {
        name: text for name, text in {**request.recorded.variables, **rebuilt.variables}.items() if text is not None
    }
    options = {**request.recorded.options, **rebuilt.options}
    inner = Request(rebuilt.argv, request.workspace, given, root / "cache", request.workspace, options)
    started = environments.start(kind, StartRequest(inner, root / "run", {}))
    words, cwd, given = (started.argv, started.cwd, started.variables) if started else (rebuilt.argv, inner.cwd, given)
    return subprocess.run(words, cwd=cwd, env=dict(given), capture_output=True, text=True, check=False).stdout


def test_it_is_called_what_it_is_registered_as(kind: EnvironmentKind, request: pytest.FixtureRequest) -> None:
    assert request.node.callspec.params["kind"] == kind.NAME
    assert kind.NAME.isidentifier()
    assert all(callable(getattr(kind, name)) for name in ("applies", "capture", "rebuild"))


def test_every_built_in_kind_has_a_situation() -> None:
    entered = {"docker"}  # it needs an engine: tests/environments/docker
    assert set(plugins.built_in("environments")) - set(SITUATIONS) <= entered


def test_its_optional_names_come_in_pairs(kind: EnvironmentKind) -> None:
    for constant, function in (("FORMATS", "export"), ("CARRIES", "gather")):
        assert hasattr(kind, constant) == hasattr(kind, function)
        values = getattr(kind, constant, ())
        assert isinstance(values, tuple)
        assert all(isinstance(value, str) and value for value in values)
    for name in ("start", "check", "export", "gather", "packages", "companions"):
        assert not hasattr(kind, name) or callable(getattr(kind, name)), "a submodule of this name hides the function"


def test_auto_finds_it(kind: EnvironmentKind, situation: Situation, tmp_path: Path) -> None:
    if situation.is_found:
        assert choose(asked(tmp_path, situation)).NAME == kind.NAME
        assert kind.applies(asked(tmp_path, situation))


def test_it_can_be_asked_for_by_name(kind: EnvironmentKind, situation: Situation, tmp_path: Path) -> None:
    assert choose(asked(tmp_path, situation), kind.NAME) is kind


@pytest.mark.parametrize("argv", [(), ("",), ("\0",), ("/nowhere",), ("env",), ("a\nb\udcff",), ("uv", "run"), (".",)])
def test_a_strange_command_raises_nothing(kind: EnvironmentKind, tmp_path: Path, argv: tuple[str, ...]) -> None:
    assert kind.applies(Request(argv, tmp_path, {"PATH": "/bin"}, tmp_path / "cache")) in (True, False)


@pytest.mark.parametrize(
    "argv", [("conda", "run"), ("pixi", "run", "-e"), ("micromamba", "run", "-n"), ("Rscript",), ("julia", "--project")]
)
def test_half_a_command_raises_nothing(kind: EnvironmentKind, tmp_path: Path, argv: tuple[str, ...]) -> None:
    assert kind.applies(Request(argv, tmp_path, {"PATH": "/bin"}, tmp_path / "cache")) in (True, False)


def test_capturing_says_what_the_record_needs(kind: EnvironmentKind, situation: Situation, tmp_path: Path) -> None:
    found = capture(kind, tmp_path, situation)
    environment = found.environment
    assert environment.kind == kind.NAME
    assert environment.digest is not None
    assert environment.digest.startswith("b3:")
    assert environment.lockfile is None
    assert all(isinstance(warning, Warning) and warning.message.endswith(".") for warning in found.warnings)
    for tree in found.trees.values():
        assert all(path.is_file() and not name.startswith("/") and ".." not in name for name, path in tree.items())


def test_capturing_twice_says_the_same(kind: EnvironmentKind, situation: Situation, tmp_path: Path) -> None:
    request = with_facts(kind, asked(tmp_path, situation), tmp_path)
    assert kind.capture(request) == kind.capture(request)
    elsewhere = kind.capture(replace(request, cache=tmp_path / "other"))
    first = kind.capture(request)
    assert (first.environment, first.lock, first.warnings) == (
        elsewhere.environment,
        elsewhere.lock,
        elsewhere.warnings,
    )


def test_capturing_changes_nothing_in_the_project(kind: EnvironmentKind, situation: Situation, tmp_path: Path) -> None:
    request = with_facts(kind, asked(tmp_path, situation), tmp_path)
    before = tree_of(request.cwd)
    kind.capture(request)
    assert tree_of(request.cwd) == before


def test_the_place_leaves_no_trace_in_digest_and_lock(kind: EnvironmentKind, tmp_path: Path) -> None:
    found = []
    for name in ("here", "some where else"):
        found.append(capture(kind, tmp_path / name, situation_in(tmp_path / name, kind)))
    assert found[0].environment.digest == found[1].environment.digest
    assert found[0].lock == found[1].lock
    assert str(tmp_path).encode() not in (found[0].lock or b"")


def test_a_secret_in_urls_and_variables_is_nowhere_in_the_record(
    kind: EnvironmentKind, situation: Situation, tmp_path: Path
) -> None:
    found = capture(kind, tmp_path, situation)
    assert SECRET in json.dumps(dict(situation.variables))
    back = recorded(tmp_path, found, situation)
    texts = [json.dumps(to_dict(found.environment)), (found.lock or b"").decode(errors="replace")]
    texts += [warning.message for warning in found.warnings]
    texts += [environments.export(kind, back, format) for format in environments.formats(kind)]
    texts += [repr(package) for package in environments.packages(kind, back)]
    texts += [repr(finding) for finding in environments.check(kind, back)]
    assert not [text for text in texts if SECRET in text]


def test_a_cache_that_cannot_be_used_is_no_harm(kind: EnvironmentKind, situation: Situation, tmp_path: Path) -> None:
    request = with_facts(kind, asked(tmp_path, situation), tmp_path)
    (tmp_path / "file").write_text("")
    request = replace(request, cache=tmp_path / "file" / "cache")
    assert kind.capture(request).environment.kind == kind.NAME


def test_what_was_captured_is_built_again(kind: EnvironmentKind, situation: Situation, tmp_path: Path) -> None:
    found = capture(kind, tmp_path, situation)
    request = to_rebuild(tmp_path, found, situation)
    for name in situation.gone:  # nothing of the old one may be used
        path = tmp_path / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    before = tree_of(request.workspace)
    for _ in range(2):
        rebuilt = kind.rebuild(request)
        assert run(kind, rebuilt, request, tmp_path) == situation.prints
        assert all(isinstance(warning, Warning) for warning in rebuilt.warnings)
    assert tree_of(request.workspace) == before


def test_building_writes_nothing_but_in_its_place_and_the_cache(
    kind: EnvironmentKind, situation: Situation, tmp_path: Path
) -> None:
    found = capture(kind, tmp_path, situation)
    request = to_rebuild(tmp_path, found, situation)
    before = files_below(tmp_path), files_below(Path.home())
    environments.check(kind, request.recorded)
    kind.rebuild(request)
    assert (files_below(tmp_path), files_below(Path.home())) == before


def files_below(root: Path) -> set[Path]:
    """All files but those of the built environment, of mltrack's cache, and of a stand-in's notes."""
    ours = ("built", "cache", "words")
    found = (path for path in root.rglob("*") if path.relative_to(root).parts[0] not in ours)
    return {path for path in found if ".cache" not in path.parts and path.name != "xdg_cache_home"}


def test_what_is_gathered_is_enough_to_build_it(kind: EnvironmentKind, situation: Situation, tmp_path: Path) -> None:
    for what in environments.carries(kind):
        found = capture(kind, tmp_path, situation)
        (tmp_path / "scratch").mkdir()
        gathered = kind.gather(recorded(tmp_path, found, situation), what, tmp_path / "scratch")  # type: ignore[attr-defined]
        assert gathered.tree
        assert all(path.is_file() for path in gathered.tree.values())
        kept = replace(found, lock=gathered.lock or found.lock, trees={**found.trees, what: gathered.tree})
        request = to_rebuild(tmp_path, kept, situation)
        for name in (*situation.gone, "wheels", "chan"):
            shutil.rmtree(tmp_path / name, ignore_errors=True)
        assert run(kind, kind.rebuild(request), request, tmp_path) == situation.prints


def test_checking_finds_it_where_it_was_captured(kind: EnvironmentKind, situation: Situation, tmp_path: Path) -> None:
    findings = environments.check(kind, recorded(tmp_path, capture(kind, tmp_path, situation), situation))
    assert all(isinstance(finding, Finding) and finding.name for finding in findings)
    assert bool(findings) == environments.can_check(kind)
    assert not [finding for finding in findings if finding.problem is not None and not finding.problem.endswith(".")]


def test_every_format_is_exported(kind: EnvironmentKind, situation: Situation, tmp_path: Path) -> None:
    back = recorded(tmp_path, capture(kind, tmp_path, situation), situation)
    for format in environments.formats(kind):
        text = environments.export(kind, back, format)
        assert isinstance(text, str)
        assert str(tmp_path) not in text
        assert text == environments.export(kind, back, format)


def test_packages_are_listed_by_name(kind: EnvironmentKind, situation: Situation, tmp_path: Path) -> None:
    listed = environments.packages(kind, recorded(tmp_path, capture(kind, tmp_path, situation), situation))
    assert [package.name for package in listed] == sorted(package.name for package in listed)


def test_a_damaged_lock_is_an_error_of_ours(kind: EnvironmentKind, situation: Situation, tmp_path: Path) -> None:
    found = capture(kind, tmp_path, situation)
    for lock in ((found.lock or b"") + b"\xff\xfe --index-url x\n", b"# x\n\0", (found.lock or b"")[:-3]):
        request = to_rebuild(tmp_path, found, situation)
        with pytest.raises(MltrackError):
            kind.rebuild(replace(request, recorded=replace(request.recorded, lock=lock)))


def test_a_lock_with_a_flipped_byte_is_read_or_refused(
    kind: EnvironmentKind, situation: Situation, tmp_path: Path
) -> None:
    found = capture(kind, tmp_path, situation)
    back, whole = recorded(tmp_path, found, situation), found.lock or b""

    @settings(max_examples=FLIPS, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.integers(0, max(len(whole) - 1, 0)), st.integers(0, 255), st.booleans())
    def flip(at: int, byte: int, torn: bool) -> None:
        damaged = whole[:at] + bytes([byte]) + (b"" if torn else whole[at + 1 :])
        hurt = replace(back, lock=damaged)
        try:
            environments.packages(kind, hurt)
            for format in environments.formats(kind):
                environments.export(kind, hurt, format)
        except MltrackError:
            pass

    flip()


def test_the_installer_of_these_tests_works() -> None:
    assert uv("--version").startswith("uv ")
