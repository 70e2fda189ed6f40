from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mltrack.digest import digest_bytes
from mltrack.environments import Found, choose, system
from mltrack.errors import Damaged, EnvironmentFailed
from tests.environments.making import rebuild_request, request


def program(path: Path, text: str = "#!/bin/sh\necho hello\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def capture(tmp_path: Path, *argv: str, **more: str) -> Found:
    asked = request(tmp_path, *argv, **more)
    kind = choose(asked)
    assert kind.NAME == "system"
    return kind.capture(asked)


def listed(found: Found) -> list[str]:
    assert found.lock is not None
    return [line.split(" ", 2)[2] for line in found.lock.decode().splitlines()[1:]]


def test_the_programs_that_a_command_names_are_recorded(tmp_path: Path) -> None:
    tool = program(tmp_path / "bin" / "tool")
    found = capture(tmp_path, "nice", "tool", "--x", PATH=f"{tmp_path}/bin:/usr/bin:/bin")
    assert listed(found)[0] == "tool"
    assert Path("/bin/sh").resolve().name in (Path("/bin").resolve() / listed(found)[1]).resolve().name
    assert found.lock is not None
    assert found.lock.decode().splitlines()[1] == f"{digest_bytes(tool.read_bytes())} {tool.stat().st_size} tool"
    environment = found.environment
    assert (environment.kind, environment.python, environment.interpreter, environment.packages) == (
        "system",
        None,
        None,
        {},
    )


def test_the_place_of_a_program_does_not_matter_and_its_content_does(tmp_path: Path) -> None:
    program(tmp_path / "one" / "tool")
    program(tmp_path / "two" / "tool")
    program(tmp_path / "three" / "tool", "#!/bin/sh\necho other\n")
    digests = [
        capture(tmp_path, "tool", PATH=f"{tmp_path}/{name}").environment.digest for name in ("one", "two", "three")
    ]
    assert digests[0] == digests[1] != digests[2]


def test_a_script_of_the_project_is_code_and_not_a_program(tmp_path: Path) -> None:
    program(tmp_path / "project" / "run.sh")
    assert listed(capture(tmp_path, "./run.sh")) == ["sh"]


@pytest.mark.parametrize("argv", [(), ("",), ("nowhere",), ("/nowhere/tool",), ("\0",), ("env",)])
def test_a_command_that_cannot_start_has_no_programs(tmp_path: Path, argv: tuple[str, ...]) -> None:
    assert "nowhere" not in listed(system.capture(request(tmp_path, *argv)))


def test_an_active_virtual_environment_alone_is_no_reason_to_warn(tmp_path: Path, env: Path) -> None:
    for words in (("true",), ("echo", "python"), ("bash", "train.sh")):
        assert capture(tmp_path, *words, PATH=f"{env.parent}:/usr/bin:/bin").warnings == ()


def test_rebuilding_says_what_is_used_from_here(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "tool")
    found = capture(tmp_path, "tool", PATH=f"{tmp_path}/bin")
    asked = rebuild_request(found, tmp_path, "tool", "--x", PATH=f"{tmp_path}/bin")
    rebuilt = system.rebuild(asked)
    assert (rebuilt.argv, rebuilt.variables, rebuilt.python) == (("tool", "--x"), {}, None)
    assert rebuilt.warnings == ()
    program(tmp_path / "bin" / "tool", "#!/bin/sh\necho other\n")
    assert "tool (other bytes than those of the run)" in system.rebuild(asked).warnings[0].message
    assert (
        "not recorded"
        in system.rebuild(replace(asked, recorded=replace(asked.recorded, lock=None))).warnings[0].message
    )
    assert not asked.place.exists()


def test_a_program_that_is_not_here_is_an_error(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "tool")
    found = capture(tmp_path, "tool", PATH=f"{tmp_path}/bin")
    with pytest.raises(EnvironmentFailed, match="'tool'"):
        system.rebuild(rebuild_request(found, tmp_path, "tool", PATH="/usr/bin:/bin"))


def test_a_name_of_strange_bytes_is_one_line(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "a\nb\udcff")
    found = capture(tmp_path, "a\nb\udcff", PATH=f"{tmp_path}/bin")
    assert listed(found)[0] == "a\\nb\\xff"
    asked = rebuild_request(found, tmp_path, "a\nb\udcff", PATH=f"{tmp_path}/bin")
    assert system.rebuild(asked).warnings == ()


@pytest.mark.parametrize("lock", [b"# t\nb3:00 1 tool\n", b"# t\ntool\n"])
def test_a_damaged_list_is_refused(tmp_path: Path, lock: bytes) -> None:
    found = capture(tmp_path, "true")
    with pytest.raises(Damaged):
        asked = rebuild_request(found, tmp_path, "true")
        system.rebuild(replace(asked, recorded=replace(asked.recorded, lock=lock)))
