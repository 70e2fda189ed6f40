"""Environments as pages: with no packages, one, and three hundred; narrow and wide; nothing of an escape sequence."""

from __future__ import annotations

import pytest

from mltrack.compare.packages import PackageChange
from mltrack.environments import Finding, Package
from mltrack.operations.env.cache import CachedEnvironment, CacheReport
from mltrack.operations.env.lock import Completed
from mltrack.operations.env.look import CheckedEnvironment, EnvironmentDifferences, Locked, Shown
from mltrack.operations.env.trim import Trimmed
from mltrack.records import Environment, Hardware, Image, Warning
from mltrack.views.environment import (
    cache_page,
    check_page,
    completed_page,
    differences_page,
    environment_page,
    host_of,
    where_from,
)
from mltrack.views.trim import trim_page

EVIL = "name\x1b[31m\n"
RUN = "a" * 16


def packages(number: int, **changes: object) -> tuple[Package, ...]:
    values: dict[str, object] = {"source": "index", "place": "https://index.example.org/simple", "hashes": 2, **changes}
    return tuple(Package(f"package{n:03}", f"1.{n}", **values) for n in range(number))  # type: ignore[arg-type]


def shown(found: tuple[Package, ...], **changes: object) -> Shown:
    values: dict[str, object] = {
        "run": RUN, "name": None, "environment": Environment("b3:1", "python", "3.11.7", "/env/bin/python"),
        "implementation": "cpython", "platform": "linux-x86_64", "locked": Locked(True, len(found), len(found), 0, 0, 0),
        "packages": found, "kept": {}, "hardware": Hardware(), "not_recorded": (), "warnings": (),
    }  # fmt: skip
    return Shown(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [60, 100, 160, None])
@pytest.mark.parametrize("number", [0, 1, 300])
def test_an_environment_fits_into_any_width(number: int, width: int | None) -> None:
    page = environment_page(shown(packages(number)))
    lines = page.render(width, False).splitlines()
    assert lines[0].startswith("Python 3.11.7" + (f", {number} package" if number else "  of"))
    if width is not None:
        assert max(map(len, lines)) <= width
    drawn = [line for line in lines if line.startswith("  package")]
    assert len(drawn) == (number if width is None else min(number, 40))
    assert ("... and 260 more" in page.render(width, False)) == (number == 300 and width is not None)


def test_what_is_uncertain_stands_out_and_nothing_breaks_the_terminal() -> None:
    odd = (
        Package(EVIL, EVIL, "outside", EVIL, problem=EVIL),
        Package("mine", "1", "project", ".", is_editable=True),
        Package("repo", "1", "vcs", f"git+https://host/repo@{'f' * 40}#subdirectory=x"),
        Package("file", "1", "file", "file-1.whl", is_stored=True),
    )
    found = shown(
        odd,
        environment=Environment(kind="docker", image=Image("sha256:1", None, EVIL), variables={"A": EVIL}),
        not_recorded=(EVIL,),
        warnings=(Warning("environment", EVIL), Warning("code", "not of the environment")),
        kept={"wheels": {"files": 3, "size_bytes": 2048}, "context": {"files": None, "size_bytes": None}},
    )
    text = environment_page(found).render(100, False)
    assert "\x1b" not in text and "not of the environment" not in text
    assert (
        "the project, editable" in text and "git+https://host/repo at ffffffffff" in text and "file file-1.whl" in text
    )
    assert "3 files, 2.0 KiB" in text and "on a remote" in text and "none: no registry" in text
    assert "here and now" in environment_page(shown((), run=None)).render(80, False)
    assert "none" in environment_page(shown((), locked=Locked(False, 0, 0, 0, 0, 0))).render(80, False)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://index.example.org/simple", "index.example.org"),
        ("https://index.example.org/simple/", "index.example.org"),
        ("https://download.pytorch.org/whl/cu118", "download.pytorch.org/whl/cu118"),
        ("http://127.0.0.1:80/simple/", "127.0.0.1:80"),
        ("file:///srv/wheels", "/srv/wheels"),
    ],
)
def test_an_index_is_named_by_its_host(url: str, host: str) -> None:
    assert host_of(url) == host


def test_an_index_that_nobody_asked_is_not_named() -> None:
    assert where_from(Package("a", "1", "index")) == "an index"


def differences(changes: tuple[PackageChange, ...], **more: object) -> EnvironmentDifferences:
    return EnvironmentDifferences(RUN, None, (), changes, (), (), (), **more)  # type: ignore[arg-type]


def test_differences_tell_what_moved_before_what_came_and_went() -> None:
    changes = (
        PackageChange("b", "added", None, "1"),
        PackageChange("c", "removed", "1", None),
        PackageChange("d", "down", "2", "1"),
        PackageChange("e", "up", "1", "2"),
        PackageChange("f", "build", "1", "1"),
        PackageChange("g", "place", "an index", EVIL),
        PackageChange("h", "changed", "1+a", "1+b"),
    )
    text = differences_page(differences(changes, remarks=(EVIL,))).render(120, False)
    assert "They differ in 7 packages." in text
    assert "1 up, 1 down, 1 changed, 1 built otherwise, 1 from elsewhere, 1 added, 1 removed" in text
    names = [line.split()[1] for line in text.splitlines() if line.startswith("  ")]
    assert names == ["e", "d", "h", "f", "g", "b", "c"]
    assert "\x1b" not in text
    many = tuple(PackageChange(f"p{n}", "up", "1", "2") for n in range(300))
    assert "... and 260 more" in differences_page(differences(many)).render(80, False)
    assert len(differences_page(differences(many)).render(None, False).splitlines()) > 300
    assert "The environments are the same." in differences_page(differences(())).render(80, False)


def test_a_check_begins_with_what_is_gone() -> None:
    findings = (
        Finding("fine 1", None, "https://index.example.org/simple"),
        Finding("kept 2", None, "stored"),
        Finding(EVIL, "It is gone.", None),
    )
    text = check_page(CheckedEnvironment(RUN, "python", True, findings, ("mltrack push --wheels",))).render(80, False)
    assert text.index("could not be built") < text.index("It is gone.") < text.index("2 of 3")
    assert re_row("index.example.org", text) == "fine 1" and re_row("stored", text) == "kept 2"
    assert "\x1b" not in text and "mltrack push --wheels" in text
    assert "could be built" in check_page(CheckedEnvironment(None, "python", True, findings[:2])).render(80, False)
    assert "nothing to check" in check_page(CheckedEnvironment(None, "system", False, ())).render(80, False)


def re_row(place: str, text: str) -> str:
    """What stands beside a place and its number."""
    return next(line.split(None, 2)[2] for line in text.splitlines() if line.split()[:1] == [place])


def cached(number: int, **changes: object) -> CachedEnvironment:
    values: dict[str, object] = {
        "path": f"/cache/{number}", "lock": f"{number:032}", "python": "3.11.7", "packages": 3, "size_bytes": 1 << 20,
        "built_at": 0.0, "used_at": 1000.0 * number, "is_complete": True, "is_used": False,
    }  # fmt: skip
    return CachedEnvironment(**{**values, **changes})  # type: ignore[arg-type]


def test_the_cache_shows_the_last_used_first_and_what_was_removed() -> None:
    found = CacheReport("/cache", (cached(1), cached(2, is_used=True), cached(3, is_complete=False)))
    text = cache_page(found, 100_000.0).render(100, False)
    rows = [line for line in text.splitlines() if line.startswith("0000")]
    assert len(rows) == 3 and "1 d" in rows[0] and "half-built" in rows[0] and "in use" in rows[1]
    assert "3.0 MiB in 3 environments, in /cache" in text and "--clear" in text
    gone = CacheReport("/cache", (cached(1, is_removed=True), cached(2, is_used=True)), cleared=True)
    text = cache_page(gone, 100_000.0).render(100, False)
    assert "1.0 MiB freed: 1 environment removed." in text and "1.0 MiB in 1 environment," in text
    assert "--clear" not in text


def test_a_completed_lock_counts_and_names_what_is_left() -> None:
    before, after = Locked(True, 3, 0, 0, 3, 0), Locked(True, 3, 2, 0, 1, 0)
    text = completed_page(Completed(RUN, "b3:1", before, after, ("odd",))).render(80, False)
    assert "2 of 3 packages have hashes, 0 had them before." in text and "odd" in text
    assert "as before" in completed_page(Completed(RUN, None, after, after, ())).render(80, False)


def trimmed(**changes: object) -> Trimmed:
    values: dict[str, object] = {
        "run": RUN, "kept": ("a", "b"), "dropped": tuple(f"d{n}" for n in range(300)), "imported": ("a",),
        "bytes_before": 3 << 20, "bytes_after": 1 << 20, "unknown_sizes": 0, "failures": {}, "grade": None, "text": "",
    }  # fmt: skip
    return Trimmed(**{**values, **changes})  # type: ignore[arg-type]


def test_a_trimmed_environment_says_before_after_and_what_it_cannot_know() -> None:
    text = trim_page(trimmed()).render(80, False)
    assert text.startswith("302 packages → 2") and "3.0 MiB → 1.0 MiB installed, 2.0 MiB less." in text
    assert "what the run imported can be imported" in text and "entry points" in text and "-o pylock.toml" in text
    assert "identical" in trim_page(trimmed(grade="identical")).render(80, False)
    failed = trim_page(trimmed(failures={"a": f"import a: {EVIL}"})).render(80, False)
    assert "--keep" in failed and "do not work" in failed and "\x1b" not in failed
    assert "Nothing was written" in trim_page(trimmed(grade="different")).render(80, False)
    assert "Wrote x and 2 more." in trim_page(trimmed(written=("x", "y", "z"))).render(80, False)
