"""Trimming: only what was imported and what that requires, by the metadata of what was really built."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mltrack.environments.python import capture
from mltrack.environments.python.lock import read_lock
from mltrack.errors import CheckFailed, DataMissing, NotFound, UsageError
from mltrack.operations.env.kinds import keep_found
from mltrack.operations.env.trim import Trimmed, TrimRequest, closure, look, trim
from mltrack.records import Environment
from tests.environments.index import serve_index
from tests.environments.making import request, uv, venv, wheel
from tests.operations.keeping import Keeping


class Lab:
    """A project with runs that were recorded in an environment of wheels."""

    def __init__(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path
        self.house = tmp_path / "house"
        self.keeping = Keeping(tmp_path / "project")

    def run(self, *installed: str, imported: tuple[str, ...] | None = None, python: str | None = None) -> str:
        """A run in an environment with these installed, of which its processes imported those."""
        place = venv(self.tmp_path / "env", *installed, wheels=self.house)
        found = capture(request(self.tmp_path, place, "train.py", may_ask=True))
        with self.keeping.open() as project:
            kept = keep_found(project, found)
            project.store.flush()
        run = self.keeping.run({}, environment=replace(kept, imported=imported))
        return run.id

    def trim(self, run: str, **changes: object) -> Trimmed:
        return trim(TrimRequest(self.keeping.root, run, **changes))  # type: ignore[arg-type]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Distributions come from one index alone."""
    lab = Lab(tmp_path)
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    wheel(lab.house, "leaf")
    wheel(lab.house, "middle", requires=["leaf >= 0.1", 'extra_only ; extra == "more"'], code="import leaf")
    wheel(lab.house, "top", requires=["middle"], code="import middle")
    wheel(lab.house, "extra_only")
    wheel(lab.house, "wants_extra", requires=["middle[more]"])
    wheel(lab.house, "unused")
    wheel(lab.house, "hidden", code="import unused")
    with serve_index(lab.house) as index:
        monkeypatch.setenv("UV_INDEX_URL", index.url)
        yield lab


def test_what_was_not_imported_goes_with_what_only_that_requires(lab: Lab) -> None:
    run = lab.run("top", "unused", "extra_only", "wants_extra", imported=("top", "middle", "leaf"))
    found = lab.trim(run)
    assert found.kept == ("leaf", "middle", "top")
    assert found.dropped == ("extra-only", "unused", "wants-extra")
    assert found.holds and found.failures == {} and found.written == ()
    assert found.bytes_before > found.bytes_after > 0 and found.unknown_sizes == 0
    assert 'name = "top"' in found.text and "unused" not in found.text
    assert not list((lab.keeping.root / ".mltrack" / "work").iterdir()), "nothing is left behind"


def test_an_extra_that_is_required_stays(lab: Lab) -> None:
    run = lab.run("wants_extra", "unused", imported=("wants-extra",))
    assert lab.trim(run).kept == ("extra-only", "leaf", "middle", "wants-extra")


def test_an_import_that_needs_what_would_go_fails_and_nothing_is_written(lab: Lab, tmp_path: Path) -> None:
    run = lab.run("hidden", "unused", imported=("hidden",))
    target = tmp_path / "pylock.toml"
    found = lab.trim(run, target=target)
    assert not found.holds and list(found.failures) == ["hidden"]
    assert "No module named 'unused'" in found.failures["hidden"]
    assert found.written == () and not target.exists()
    found = lab.trim(run, target=target, keep=("unused",))
    assert found.holds and found.kept == ("hidden", "unused") and found.written[0] == str(target)
    assert target.read_text() == found.text


def test_the_trimmed_lock_installs_what_it_says(lab: Lab, tmp_path: Path) -> None:
    run = lab.run("top", "unused", imported=("top",))
    found = lab.trim(run, target=tmp_path / "out" / "requirements.txt", format="requirements")
    other = venv(tmp_path / "other")
    uv("pip", "install", "-q", "-p", str(other), "--require-hashes", "-r", found.written[0])
    listed = uv("pip", "freeze", "-p", str(other)).split()
    assert listed == ["leaf==1.0", "middle==1.0", "top==1.0"]


def test_where_nobody_looked_one_must_say_what_to_keep(lab: Lab) -> None:
    run = lab.run("top", "unused", imported=None)
    with pytest.raises(DataMissing, match="Nobody looked") as caught:
        lab.trim(run)
    assert "mltrack rerun" in str(caught.value.hint) and "--keep" in str(caught.value.hint)
    assert lab.trim(run, keep=("Top",)).kept == ("leaf", "middle", "top")
    with pytest.raises(NotFound, match="torch"):
        lab.trim(run, keep=("torch",))


def test_a_run_that_imported_nothing_needs_nothing(lab: Lab) -> None:
    assert lab.trim(lab.run("top", imported=())).kept == ()


def test_other_kinds_and_formats_are_refused(lab: Lab) -> None:
    run = lab.keeping.run({}, environment=Environment(kind="system")).id
    with pytest.raises(UsageError, match="system"):
        lab.trim(run)
    with pytest.raises(UsageError, match="conda"):
        lab.trim(run, format="conda")


def test_the_closure_of_a_circle_ends(lab: Lab) -> None:
    wheel(lab.house, "one", requires=["two"])
    wheel(lab.house, "two", requires=["one"])
    run = lab.run("one", "unused", imported=("two",))
    assert lab.trim(run).kept == ("one", "two")
    with lab.keeping.open() as project:
        lock = read_lock(project.store.get_bytes(project.ledger.get(run).environment.lockfile or ""))
    assert closure(lock, ["one", "absent"]) == {"one", "two"}


def test_an_interpreter_that_does_not_start_is_an_answer(tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match="does not start"):
        look((str(tmp_path / "gone"),), {}, {"roots": (), "imported": (), "dropped": ()}, tmp_path)


def test_variables_that_send_uv_elsewhere_do_not_count_when_something_is_removed(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = lab.run("top", "extra_only", imported=("top", "middle", "leaf"))
    monkeypatch.setenv("UV_PROJECT", str(lab.tmp_path / "elsewhere"))
    assert lab.trim(run).kept == ("leaf", "middle", "top")
