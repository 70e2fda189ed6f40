"""Questions to a package index, a real one on the loopback interface."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from mltrack.environments.python import resolve as room
from mltrack.environments.python.distributions import Distribution
from mltrack.environments.python.indexes import installer_settings
from mltrack.environments.python.resolve import Answer, Asked, plain_version, resolve, said_missing
from tests.environments.index import Index, serve_index
from tests.environments.making import UV, variables, wheel


@pytest.fixture
def house(tmp_path: Path) -> Path:
    for name, version in (("alpha", "1.0"), ("alpha", "2.0"), ("beta", "0.5+cpu")):
        wheel(tmp_path / "house", name, version)
    return tmp_path / "house"


def ask(tmp_path: Path, *pins: str, **more: str) -> Answer:
    found = tuple(Distribution(*pin.split("=="), source="index") for pin in pins)
    settings = installer_settings(variables(UV_NO_CACHE="1", **more))
    return resolve(Asked(found, "3.11.7", UV, settings, tmp_path, tmp_path / "cache"))


def test_the_files_of_a_pin_are_told_with_hash_and_index(tmp_path: Path, house: Path) -> None:
    with serve_index(house) as index:
        answer = ask(tmp_path, "alpha==1.0", "beta==0.5+cpu", UV_DEFAULT_INDEX=index.url)
    assert (answer.error, answer.missing) == (None, {})
    offer = answer.offers["alpha"]
    assert offer.index == index.url.rstrip("/")
    (file,) = offer.wheels
    assert file.name == "alpha-1.0-py3-none-any.whl"
    assert file.sha256 == hashlib.sha256((house / file.name).read_bytes()).hexdigest()
    assert file.url is not None and file.url.endswith(file.name)
    assert answer.offers["beta"].wheels[0].name == "beta-0.5+cpu-py3-none-any.whl"


def test_what_is_on_no_index_is_named_and_the_rest_is_found(tmp_path: Path, house: Path) -> None:
    pins = ("alpha==1.0", "alpha-private==3", "beta==9.9", "omega==1")
    with serve_index(house) as index:
        answer = ask(tmp_path, *pins, UV_DEFAULT_INDEX=index.url)
    assert set(answer.offers) == {"alpha"}
    assert set(answer.missing) == {"alpha-private", "beta", "omega"}


def test_an_answer_is_remembered_and_one_that_lacks_something_only_for_a_while(
    tmp_path: Path, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_index(house) as index:
        first = ask(tmp_path, "alpha==1.0", UV_DEFAULT_INDEX=index.url)
        lacking = ask(tmp_path, "alpha==1.0", "omega==1", UV_DEFAULT_INDEX=index.url)
        index.asked.clear()
        assert ask(tmp_path, "alpha==1.0", UV_DEFAULT_INDEX=index.url) == first
        assert ask(tmp_path, "alpha==1.0", "omega==1", UV_DEFAULT_INDEX=index.url) == lacking
        assert index.asked == []
        wheel(house, "omega", "1")
        later = room.time.time() + room.MISSING_S + 1
        monkeypatch.setattr(room.time, "time", lambda: later)
        assert set(ask(tmp_path, "alpha==1.0", "omega==1", UV_DEFAULT_INDEX=index.url).offers) == {"alpha", "omega"}


def test_an_index_that_does_not_answer_is_an_error_and_nothing_is_called_missing(tmp_path: Path) -> None:
    answer = ask(tmp_path, "alpha==1.0", UV_DEFAULT_INDEX="http://127.0.0.1:9/simple", UV_HTTP_RETRIES="0")
    assert (answer.offers, answer.missing) == ({}, {})
    assert answer.error


def test_a_slow_index_is_not_waited_for(tmp_path: Path, house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "SECONDS", 1.0)
    with serve_index(house) as index:
        index.delay_s = 5
        answer = ask(tmp_path, "alpha==1.0", UV_DEFAULT_INDEX=index.url)
    assert answer.error == "the package index did not answer in time"


def test_a_password_is_used_and_never_written_down(tmp_path: Path, house: Path) -> None:
    with serve_index(house) as index:
        index.users["me"] = "hunter2secret"
        url = index.with_credentials("me", "hunter2secret")
        answer = ask(tmp_path, "alpha==1.0", "omega==2", UV_DEFAULT_INDEX=url)
        wrong = ask(tmp_path, "alpha==1.0", UV_DEFAULT_INDEX=index.with_credentials("me", "wrongsecret9"))
    assert answer.offers["alpha"].index == index.url.rstrip("/")
    assert answer.offers["alpha"].wheels[0].url is not None
    assert wrong.offers == {}
    written = "".join(path.read_text() for path in (tmp_path / "cache").rglob("*.json"))
    for text in (written, repr(answer), repr(wrong)):
        assert "hunter2secret" not in text
        assert "wrongsecret9" not in text


def test_of_two_indexes_each_file_knows_its_own(tmp_path: Path, house: Path) -> None:
    wheel(tmp_path / "other", "gamma", "1.0")
    with serve_index(house) as first, serve_index(tmp_path / "other") as second:
        answer = ask(
            tmp_path, "alpha==2.0", "gamma==1.0", UV_DEFAULT_INDEX=first.url, UV_INDEX=second.url,
            UV_INDEX_STRATEGY="unsafe-best-match",
        )  # fmt: skip
    assert {name: offer.index for name, offer in answer.offers.items()} == {
        "alpha": first.url.rstrip("/"),
        "gamma": second.url.rstrip("/"),
    }


def test_a_directory_of_wheels_is_of_this_machine(tmp_path: Path, house: Path) -> None:
    answer = ask(tmp_path, "alpha==1.0", UV_NO_INDEX="1", UV_FIND_LINKS=str(house))
    (file,) = answer.offers["alpha"].wheels
    assert (file.url, answer.offers["alpha"].index) == (None, None)
    assert answer.local == {file.name: str(house / file.name)}


def test_a_damaged_answer_is_asked_for_again(tmp_path: Path, house: Path) -> None:
    with serve_index(house) as index:
        first = ask(tmp_path, "alpha==1.0", UV_DEFAULT_INDEX=index.url)
        (kept,) = (tmp_path / "cache" / "locks").glob("*.json")
        kept.write_bytes(kept.read_bytes()[:-3] + b"}}}")
        assert ask(tmp_path, "alpha==1.0", UV_DEFAULT_INDEX=index.url) == first


def test_what_uv_says_is_understood() -> None:
    said = """error: No solution found when resolving dependencies
      cause: Because there is no version of click==99 and you require click==99, we can conclude that"""
    assert said_missing(said) == ["click"]
    assert said_missing("Because Foo_Bar was not found in the package registry and") == ["foo-bar"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("1.0", "1.0.0", True), ("v1.0-RC1", "1.0rc1", True), ("1.0", "1.1", False), ("1.10", "1.1", False),
     ("2.13.0+cpu", "2.13.0", False), ("2.13.0+cpu", "2.13+cpu", True)],
)  # fmt: skip
def test_versions_are_compared_as_the_standard_does(one: str, other: str, same: bool) -> None:
    assert (plain_version(f"x=={one}") == plain_version(f"x=={other}")) is same


def test_the_index_of_these_tests_speaks_json(tmp_path: Path, house: Path) -> None:
    from urllib.request import Request, urlopen

    with serve_index(house) as index:
        assert isinstance(index, Index)
        request = Request(f"{index.url}/alpha/", headers={"Accept": "application/vnd.pypi.simple.v1+json"})
        with urlopen(request) as answer:
            assert {file["filename"] for file in json.load(answer)["files"]} == {
                "alpha-1.0-py3-none-any.whl",
                "alpha-2.0-py3-none-any.whl",
            }


def test_a_package_that_needs_a_patch_version_of_python_is_found(tmp_path: Path, house: Path) -> None:
    wheel(house, "picky", requires=["alpha\nRequires-Python: >=3.11.5"])
    with serve_index(house) as index:
        answer = ask(tmp_path, "picky==1.0", "alpha==1.0", UV_DEFAULT_INDEX=index.url)
    assert (answer.error, set(answer.offers)) == (None, {"picky", "alpha"})
