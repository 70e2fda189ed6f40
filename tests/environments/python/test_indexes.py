from __future__ import annotations

import os
from pathlib import Path

import pytest

from mltrack.environments.python.indexes import (
    Settings,
    beside,
    default_index,
    first_from,
    installer_settings,
    is_configured,
    only_from,
    pip_settings,
)


def settle(tmp_path: Path, **variables: str) -> dict[str, str]:
    return dict(installer_settings({"HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull, **variables}).variables)


def test_pips_variables_become_uvs(tmp_path: Path) -> None:
    found = settle(
        tmp_path,
        PIP_INDEX_URL="https://one/simple",
        PIP_EXTRA_INDEX_URL="https://two/simple https://three/simple",
        PIP_FIND_LINKS=f"{tmp_path} https://four/links /nowhere",
        PIP_TRUSTED_HOST="one two",
        PIP_CERT="/certificates.pem",
        PIP_DEFAULT_TIMEOUT="90",
        PIP_PROXY="http://proxy:1",
    )
    assert found["UV_DEFAULT_INDEX"] == "https://one/simple"
    assert found["UV_INDEX"] == "https://two/simple https://three/simple"
    assert found["UV_FIND_LINKS"] == f"{tmp_path},https://four/links"
    assert found["UV_INSECURE_HOST"] == "one two"
    assert found["SSL_CERT_FILE"] == "/certificates.pem"
    assert found["UV_HTTP_TIMEOUT"] == "90"
    assert found["ALL_PROXY"] == "http://proxy:1"
    assert found["UV_INDEX_STRATEGY"] == "unsafe-best-match"


def test_what_uv_was_told_itself_wins(tmp_path: Path) -> None:
    found = settle(
        tmp_path,
        UV_INDEX_URL="https://mine/simple",
        UV_INDEX="https://more/simple",
        UV_FIND_LINKS="/links",
        SSL_CERT_FILE="/mine.pem",
        UV_INDEX_STRATEGY="first-index",
        PIP_INDEX_URL="https://one/simple",
        PIP_EXTRA_INDEX_URL="https://two/simple",
        PIP_FIND_LINKS=str(tmp_path),
        PIP_CERT="/certificates.pem",
    )
    assert "UV_DEFAULT_INDEX" not in found
    assert found["UV_INDEX"] == "https://more/simple"
    assert found["UV_FIND_LINKS"] == "/links"
    assert found["SSL_CERT_FILE"] == "/mine.pem"
    assert found["UV_INDEX_STRATEGY"] == "first-index"


def test_without_settings_of_pip_uv_is_left_as_it_is(tmp_path: Path) -> None:
    found = installer_settings({"HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull, "PATH": "/bin"})
    assert not [name for name in found.variables if name.startswith("UV_")]
    assert found.options == ()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [("PIP_NO_INDEX", "1", True), ("PIP_NO_INDEX", "false", False), ("UV_NO_INDEX", "true", True)],
)
def test_no_index_is_an_option_for_uv_has_no_variable_for_it(
    tmp_path: Path, name: str, text: str, expected: bool
) -> None:
    found = installer_settings({"HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull, name: text})
    assert found.options == (("--no-index",) if expected else ())


def test_files_are_read_in_pips_order(tmp_path: Path) -> None:
    places = {
        "xdg/pip/pip.conf": "[global]\nindex-url = a\ntimeout = 1\n",
        "home/.pip/pip.conf": "[global]\nindex_url = b\ncert = b\n",
        "config/pip/pip.conf": "[global]\nindex-url = c\n[install]\ncert = c\n",
        "named.conf": "[install]\nindex-url = d\n[freeze]\ntimeout = 9\n",
    }
    for name, text in places.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    variables = {
        "HOME": str(tmp_path / "home"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_CONFIG_DIRS": str(tmp_path / "xdg"),
    }
    assert pip_settings(variables)["index-url"] == "c"
    assert pip_settings(variables)["cert"] == "c"
    assert pip_settings(variables)["timeout"] == "1"
    named = {**variables, "PIP_CONFIG_FILE": str(tmp_path / "named.conf")}
    assert pip_settings(named)["index-url"] == "d"
    assert pip_settings(named)["timeout"] == "1"
    assert pip_settings({**named, "PIP_INDEX_URL": "e"})["index-url"] == "e"
    assert pip_settings({**variables, "PIP_CONFIG_FILE": os.devnull}) == {"config-file": os.devnull}


def test_a_broken_file_has_no_settings(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_bytes(b"index-url = before any section\n\xff")
    found = pip_settings(
        {"HOME": str(tmp_path / "no"), "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "XDG_CONFIG_DIRS": "/no"}
    )
    assert found.get("index-url") != "before any section"


def test_variables_that_lead_elsewhere_are_dropped(tmp_path: Path) -> None:
    found = settle(
        tmp_path, VIRTUAL_ENV="/v", UV_TARGET="/t", PYTHONPATH="/p", UV_EXCLUDE_NEWER="2001-01-01", UV_CACHE_DIR="/c"
    )
    assert set(found) == {"HOME", "PIP_CONFIG_FILE", "UV_CACHE_DIR"}


def test_an_index_is_put_in_front_of_those_that_are_configured() -> None:
    found = first_from(
        Settings({"UV_INDEX": "https://two/simple", "UV_INDEX_STRATEGY": "first-index"}, ()), "https://one"
    )
    assert found.variables["UV_INDEX"] == "https://one https://two/simple"
    assert found.variables["UV_INDEX_STRATEGY"] == "unsafe-best-match"


@pytest.mark.parametrize(
    ("variables", "index", "expected"),
    [
        ({}, f"{default_index()}/", True),
        ({}, "https://elsewhere/simple", False),
        ({"UV_DEFAULT_INDEX": "https://user:word@one/simple/"}, "https://one/simple", True),
        ({"UV_DEFAULT_INDEX": "https://one/simple"}, default_index(), False),
        ({"UV_INDEX": "wheels=https://me@two/simple https://three"}, "https://two/simple", True),
        ({"UV_EXTRA_INDEX_URL": "https://four/?a=b"}, "https://four/?a=b", True),
    ],
)
def test_whether_an_index_is_asked_anyway(variables: dict[str, str], index: str, expected: bool) -> None:
    assert is_configured(Settings(variables, ()), index) is expected


def test_a_directory_of_wheels_alone_or_beside_the_indexes(tmp_path: Path) -> None:
    settings = Settings(
        {"UV_INDEX": "https://one", "UV_FIND_LINKS": "/links,https://two", "HOME": "/h"}, ("--no-index",)
    )
    alone = only_from(tmp_path, settings)
    assert alone.variables == {"HOME": "/h"}
    assert alone.options == ("--no-index", "--offline", "--find-links", str(tmp_path))
    words = ("--find-links", str(tmp_path), "--find-links", "/links", "--find-links", "https://two")
    assert beside(tmp_path, settings).options == ("--no-index", *words)
