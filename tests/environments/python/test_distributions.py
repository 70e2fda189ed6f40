from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mltrack.environments.python.distributions import Distribution, listed, normalise, read_answer, without_credentials

SITE = "/env/lib/python3.11/site-packages"
SHA = "0" * 64


def item(name: str = "alpha", version: str | None = "1.0", **more: Any) -> dict[str, Any]:
    plain = {"metadata": True, "place": SITE, "installer": "pip", "direct_url": None, "mtime": 0}
    return {"name": name, "version": version, **plain, **more}


def read(*items: dict[str, Any], project: Path = Path("/project"), linked: tuple[str, ...] = ()) -> Any:
    answer = {"distributions": items, "prefix": "/env", "base_prefix": "/usr", "user_site": "/home/u/.local/site"}
    return read_answer({**answer, "linked": linked}, project)


def only(*items: dict[str, Any], **more: Any) -> Distribution:
    (found,) = read(*items, **more).distributions
    return found


@pytest.mark.parametrize(
    ("name", "normal"), [("Foo.Bar_baz", "foo-bar-baz"), ("ruamel.yaml", "ruamel-yaml"), ("a--b", "a-b")]
)
def test_names_are_written_one_way(name: str, normal: str) -> None:
    assert normalise(name) == normal
    assert only(item(name)).name == normal


def test_a_plain_one_is_of_an_index() -> None:
    assert only(item()) == Distribution("alpha", "1.0", "index")
    assert only(item(place="/home/u/.local/site")).source == "index"


def test_ours_is_left_out() -> None:
    assert read(item("mltrack-ledger"), item("MLtrack_Ledger")).distributions == ()


@pytest.mark.parametrize(
    ("direct", "expected"),
    [
        (
            {"url": "https://h/a.whl", "archive_info": {"hashes": {"sha256": SHA}}},
            Distribution("alpha", "1.0", "url", "https://h/a.whl", SHA),
        ),
        (
            {
                "url": "https://u:p@h/a.zip?token=t&x=1",
                "subdirectory": "s b",
                "archive_info": {"hash": f"sha256={SHA}"},
            },
            Distribution("alpha", "1.0", "url", "https://h/a.zip?x=1#subdirectory=s%20b", SHA),
        ),
        (
            {"url": "https://me:secret@h/r.git", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}},
            Distribution("alpha", "1.0", "vcs", "git+https://h/r.git@c0ffee"),
        ),
        (
            {"url": "ssh://git@h/r.git", "subdirectory": "s", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}},
            Distribution("alpha", "1.0", "vcs", "git+ssh://git@h/r.git@c0ffee#subdirectory=s"),
        ),
        (
            {"url": "file:///r.git", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}},
            Distribution("alpha", "1.0", "outside"),
        ),
        (
            {"url": "file:///secret/place/a-1.0-py3-none-any.whl", "archive_info": {}},
            Distribution("alpha", "1.0", "file", "a-1.0-py3-none-any.whl"),
        ),
        ({"url": "ftp://h/a.whl", "archive_info": {}}, Distribution("alpha", "1.0", "outside")),
        (
            {"url": "file:///project/sub%20dir", "dir_info": {"editable": True}},
            Distribution("alpha", "1.0", "project", None, None, "sub dir", True),
        ),
        ({"url": "file:///project", "dir_info": {}}, Distribution("alpha", "1.0", "project", None, None, ".", False)),
        (
            {"url": "file:///projects", "dir_info": {"editable": True}},
            Distribution("alpha", "1.0", "outside", None, None, None, True),
        ),
    ],
)
def test_direct_urls_say_where_it_came_from(direct: dict[str, Any], expected: Distribution) -> None:
    assert only(item(direct_url=direct)) == expected


def test_local_sources_are_named() -> None:
    inside = item("a", direct_url={"url": "file:///project/a", "dir_info": {"editable": True}})
    outside = item("b", direct_url={"url": "file:///b%20c", "dir_info": {}})
    linked = item("c", place="/elsewhere/c")
    found = read(inside, outside, linked, item("d"), linked=("/elsewhere/c",))
    assert found.local_sources == {"a": "/project/a", "b": "/b c", "c": "/elsewhere/c"}
    assert [entry.is_editable for entry in found.distributions] == [True, False, True, False]


def test_what_is_on_pythonpath_is_not_installed() -> None:
    assert only(item(place="/project/src", installer="")).source == "path"


@pytest.mark.parametrize("installer", ["", "debian", "rpm"])
def test_what_the_operating_system_installed_is_its_own(installer: str) -> None:
    assert only(item(place="/usr/lib/python3/dist-packages", installer=installer)).source == "system"
    assert only(item(place="/usr/local/lib/python3.11/dist-packages", installer="pip")).source == "index"


def test_what_conda_installed_is_condas() -> None:
    assert only(item(installer="conda")).source == "conda"


def test_the_first_on_the_path_counts() -> None:
    shadow = item(version="9", place="/project/src")
    assert only(shadow, item()).version == "9"


def test_an_editable_install_counts_before_the_files_it_points_to() -> None:
    direct = {"url": "file:///project", "dir_info": {"editable": True}}
    assert only(item(version="9", place="/project/src"), item(direct_url=direct)).source == "project"


def test_leftovers_in_one_directory_are_told() -> None:
    found = read(item(version="1.0", mtime=2), item(version="2.0", mtime=1))
    assert found.doubled == ("alpha",)
    assert found.distributions[0].version == "1.0"
    assert read(item(), item()).doubled == ()


@pytest.mark.parametrize("version", [None, "", "1.0 or so", "$(x)", "1\n2"])
def test_a_version_that_is_none_is_told_and_kept_out_of_the_lock(version: str | None) -> None:
    found = read(item(version=version, metadata=version is not None))
    assert found.nameless == ("alpha",)
    assert found.distributions[0].version == "unknown"


def test_a_name_that_is_none_is_told() -> None:
    found = read(item("--index-url http://x"), item("-"))
    assert len(found.nameless) == 2
    assert found.distributions == ()


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://user:pass@host:8080/a?b=1", "https://host:8080/a?b=1"),
        ("https://token@host/a", "https://host/a"),
        ("ssh://git:pw@host/a", "ssh://git@host/a"),
        ("https://h/a?X-Amz-Signature=s&X-Amz-Credential=c&v=2", "https://h/a?v=2"),
        ("https://h/a b$HOME", "https://h/a%20b%24HOME"),
        ("https://h/a%20b", "https://h/a%20b"),
        ("https://h/a?a=1;token=SECRET", "https://h/a?a=1"),
        ("https://h/a?b=1;c=2&d", "https://h/a?b=1;c=2&d"),
        ("https://h/a?%74oken=SECRET&b", "https://h/a?b"),
        ("https://h/a?ghp_0123456789abcdefABCDEF", "https://h/a"),
        ("https://h/basic/ghp_0123456789abcdefABCDEF/x.whl", "https://h/basic/%3Credacted%3E/x.whl"),
        ("https://dl.cloudsmith.io/Kq8tL2bX90aZp3Vw/org/repo/", "https://dl.cloudsmith.io/%3Credacted%3E/org/repo/"),
        (f"https://h/packages/ab/cd/{'0a1b' * 15}/x-1.0+cu118.whl",) * 2,
        (f"https://gist.h/{'0a1b' * 8}.git",) * 2,
    ],
)
def test_urls_lose_their_credentials(url: str, clean: str) -> None:
    assert without_credentials(url) == clean


def test_many_names_in_a_warning_are_counted() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(number) for number in range(10)]) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
