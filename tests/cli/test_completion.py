"""The script of each shell goes where that shell looks, and nothing else is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mltrack.cli.completion import SCRIPTS, completion, place_of
from mltrack.errors import StorageError, UsageError


@pytest.mark.parametrize("shell", SCRIPTS)
def test_a_script_is_installed_whole_and_no_other_file(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".bashrc").write_text("mine\n")
    completion(shell, install=True)
    place = place_of(shell, os.environ)
    assert place.read_text() == SCRIPTS[shell]
    files = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {place, tmp_path / ".bashrc"} and (tmp_path / ".bashrc").read_text() == "mine\n"
    assert str(place) in capsys.readouterr().out


def test_the_places_are_those_of_the_shells() -> None:
    home = {"HOME": "/h"}
    assert place_of("bash", home) == Path("/h/.local/share/bash-completion/completions/mltrack")
    assert place_of("bash", home | {"BASH_COMPLETION_USER_DIR": "/b"}) == Path("/b/completions/mltrack")
    assert place_of("fish", home | {"XDG_CONFIG_HOME": "/c"}) == Path("/c/fish/completions/mltrack.fish")
    assert place_of("zsh", home | {"XDG_DATA_HOME": "/d"}) == Path("/d/zsh/site-functions/_mltrack")


def test_the_shell_is_the_persons_own_unless_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHELL", "/usr/local/bin/fish")
    completion()
    assert capsys.readouterr().out == SCRIPTS["fish"]
    for name in ("tcsh", "bash\n"):
        with pytest.raises(UsageError):
            completion(name)


def test_what_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="cannot be written"):
        completion("zsh", install=True)
