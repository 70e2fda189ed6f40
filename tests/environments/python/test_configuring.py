"""uv's configuration files: where packages come from counts, nothing else."""

from __future__ import annotations

from pathlib import Path

from mltrack.environments import python
from mltrack.environments.python.configuring import settings_of, written
from mltrack.environments.python.lock import load_toml
from tests.environments.index import serve_index
from tests.environments.making import venv, wheel
from tests.environments.python.rebuilding import QUIET, asked_for, captured, output
from tests.environments.python.test_kind import make_project
from tests.environments.python.test_resolve import ask
from tests.helpers import write

PROJECT = """
[tool.uv]
find-links = ["wheels", "/etc", "../other", "file:///etc", "https://links.example/"]
no-binary-package = ["alpha"]
constraint-dependencies = ["alpha<1"]
[[tool.uv.index]]
name = "mine"
url = "https://index.example/simple"
explicit = true
[[tool.uv.index]]
url = "/srv/index"
[tool.uv.pip]
index-url = "https://first.example/simple"
target = "/elsewhere"
no-deps = true
"""


def test_of_a_restored_project_count_other_hosts_and_its_own_directories(tmp_path: Path) -> None:
    write(tmp_path / "project", {"pyproject.toml": PROJECT})
    given = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": str(tmp_path)}
    found = settings_of(tmp_path / "project", given, is_foreign=True)
    assert found == {
        "index-url": "https://first.example/simple",
        "find-links": [str(tmp_path / "project/wheels"), "https://links.example/"],
        "index": [{"name": "mine", "url": "https://index.example/simple", "explicit": True}],
    }
    assert load_toml(written(found)) == found
    own = settings_of(tmp_path / "project", given, is_foreign=False)
    assert [*own["find-links"][1:2], own["index"][1]["url"]] == ["/etc", "/srv/index"]
    assert "target" not in own and "no-deps" not in own


def test_the_users_own_file_comes_after_the_projects(tmp_path: Path) -> None:
    text = 'index-strategy = "unsafe-best-match"\nextra-index-url = ["https://b.example"]\nresolution = "lowest"\n'
    write(tmp_path, {"home/.config/uv/uv.toml": text, "named.toml": "no-index = true"})
    write(tmp_path / "project", {"uv.toml": 'extra-index-url = ["https://a.example"]\n', "pyproject.toml": PROJECT})
    given = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": str(tmp_path)}
    assert settings_of(tmp_path / "project" / "below", given, is_foreign=True) == {
        "extra-index-url": ["https://a.example", "https://b.example"],
        "index-strategy": "unsafe-best-match",
    }
    named = {**given, "UV_CONFIG_FILE": str(tmp_path / "named.toml")}
    assert settings_of(tmp_path / "project", named, is_foreign=True) == {"no-index": True}
    assert settings_of(tmp_path / "project", {**given, "UV_NO_CONFIG": "1"}, is_foreign=True) == {}


def test_damaged_files_have_no_settings(tmp_path: Path) -> None:
    given = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": str(tmp_path)}
    for text in ("[tool", "tool = 1\n", "[tool]\nuv = [1]\n", '[tool.uv]\nindex = "x"\nfind-links = [1]\npip = 3\n'):
        write(tmp_path / "project", {"pyproject.toml": text})
        assert settings_of(tmp_path / "project", given, is_foreign=True) == {}


def test_an_installation_goes_nowhere_else_and_finds_the_projects_index(tmp_path: Path) -> None:
    """The workspace says where to install to; its index is the only one that has `alpha`."""
    wheel(tmp_path / "house", "alpha", "1.0")
    made = venv(tmp_path / "venv", "alpha", wheels=tmp_path / "house")
    with serve_index(tmp_path / "house") as index:
        found = captured(tmp_path, made, index)
        asked = asked_for(found, tmp_path, made, "-c", "import alpha; print(alpha.__file__)", **QUIET)
        asked.recorded.variables.pop("UV_NO_INDEX")  # type: ignore[attr-defined]
        text = f'index-url = "{index.url}"\n[pip]\ntarget = "{tmp_path}/elsewhere"\nprefix = "{tmp_path}/elsewhere"\n'
        write(asked.workspace, {"uv.toml": text})
        rebuilt = python.rebuild(asked)
        assert output(rebuilt, asked.workspace).startswith(str(asked.place))
    assert not (tmp_path / "elsewhere").exists()


def test_directories_go_nowhere_else(tmp_path: Path) -> None:
    made = venv(tmp_path / "venv", "--editable", str(make_project(tmp_path / "project")))
    asked = asked_for(captured(tmp_path, made), tmp_path, made, "-c", "import proj, sys; print(sys.prefix)")
    make_project(asked.workspace)
    with (asked.workspace / "pyproject.toml").open("a") as file:
        file.write(f'\n[tool.uv.pip]\ntarget = "{tmp_path}/elsewhere"\n')
    assert output(python.rebuild(asked), asked.workspace)
    assert not (tmp_path / "elsewhere").exists()


def test_an_answer_is_not_bent_by_what_the_project_says_otherwise(tmp_path: Path) -> None:
    wheel(tmp_path / "house", "alpha", "1.0")
    with serve_index(tmp_path / "house") as index:
        text = f'[[tool.uv.index]]\nurl = "{index.url}"\ndefault = true\n[tool.uv]\nconstraint-dependencies = ["alpha<1"]\n'
        text += '[tool.uv.pip]\nexclude-newer = "2001-01-01"\npython-platform = "windows"\nno-binary = ["alpha"]\n'
        write(tmp_path, {"pyproject.toml": text})
        answer = ask(tmp_path, "alpha==1.0", HOME=str(tmp_path))
    assert (answer.error, answer.missing) == (None, {})
    assert answer.offers["alpha"].index == index.url.rstrip("/")
