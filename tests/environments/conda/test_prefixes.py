from __future__ import annotations

import os
from pathlib import Path

import pytest

from mltrack.environments import choose, conda
from mltrack.environments.conda.prefixes import find_prefix
from tests.environments.conda.channel import meta, request
from tests.environments.making import venv


def script(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def env(tmp_path: Path) -> Path:
    """A prefix without Python, with a program."""
    place = tmp_path / "conda" / "envs" / "ml"
    meta(place, name="r-base", version="4.3.1", build="h1_0")
    for name in ("Rscript", "trainer"):
        script(place / "bin" / name)
    return place


def path_of(place: Path) -> str:
    return f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"


def test_a_program_of_the_prefix_tells(env: Path, tmp_path: Path) -> None:
    for words in (("Rscript", "train.R"), ("trainer",), ("nice", "-n", "1", "trainer"), (env / "bin/trainer",)):
        asked = request(tmp_path, *words, PATH=path_of(env))
        assert find_prefix(asked) == env
        assert choose(asked).NAME == "conda"


def test_a_script_with_a_shebang_into_the_prefix_tells(env: Path, tmp_path: Path) -> None:
    own = script(tmp_path / "project" / "train.R", f"#!{env}/bin/Rscript\n")
    assert find_prefix(request(tmp_path, own)) == env


def test_a_link_to_a_program_of_the_prefix_tells(env: Path, tmp_path: Path) -> None:
    link = tmp_path / "links" / "trainer"
    link.parent.mkdir()
    link.symlink_to(env / "bin" / "trainer")
    assert find_prefix(request(tmp_path, link)) == env


def test_a_virtual_environment_made_from_a_conda_python_is_not_conda(env: Path, tmp_path: Path) -> None:
    python = venv(tmp_path / "venv")
    (env / "bin" / "python").symlink_to(os.path.realpath(python))
    python.unlink()
    python.symlink_to(env / "bin" / "python")
    asked = request(tmp_path, python, "train.py")
    assert find_prefix(asked) is None
    assert choose(asked).NAME == "python"


@pytest.mark.parametrize("words", [("sh", "run.sh"), ("make", "train"), ("./train.sh",), ("./build/trainer",)])
def test_the_active_prefix_counts_for_what_starts_others_and_for_the_projects_own_programs(
    env: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    script(tmp_path / "project" / "train.sh")
    script(tmp_path / "project" / "build" / "trainer", "\x7fELF")
    if words[0] == "make":
        script(env.parent / "tools" / "make")
    more = f"{env.parent / 'tools'}{os.pathsep}{path_of(env)}"
    assert find_prefix(request(tmp_path, *words, PATH=more, CONDA_PREFIX=str(env))) == env


def test_the_active_prefix_does_not_count_for_programs_of_the_system(env: Path, tmp_path: Path) -> None:
    asked = request(tmp_path, "/bin/cat", PATH=path_of(env), CONDA_PREFIX=str(env))
    assert find_prefix(asked) is None
    assert not conda.applies(asked)


def test_a_prefix_that_path_does_not_lead_into_does_not_count(env: Path, tmp_path: Path) -> None:
    assert find_prefix(request(tmp_path, "sh", "run.sh", CONDA_PREFIX=str(env))) is None


def test_a_virtual_environment_on_top_of_the_active_prefix_wins(env: Path, tmp_path: Path) -> None:
    python = venv(tmp_path / "venv")
    path = f"{python.parent}{os.pathsep}{path_of(env)}"
    assert find_prefix(request(tmp_path, "sh", "run.sh", PATH=path, CONDA_PREFIX=str(env))) is None


@pytest.mark.parametrize(
    "words",
    [
        ("conda", "run", "-n", "ml", "trainer"),
        ("conda", "run", "--name=ml", "--no-capture-output", "trainer"),
        ("mamba", "run", "-p", "{env}", "trainer"),
        ("micromamba", "-r", "{root}", "run", "-n", "ml", "trainer"),
    ],
)
def test_conda_run_names_the_prefix_and_is_not_asked(env: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    root = env.parent.parent
    for name in ("conda", "mamba", "micromamba"):
        script(root / "bin" / name, "#!/bin/sh\nexit 99\n")
    given = [word.format(env=env, root=root) for word in words]
    asked = request(tmp_path, *given, PATH=path_of(root))
    assert conda.applies(asked)
    assert find_prefix(asked) == env


def test_conda_run_without_a_name_is_the_active_prefix_else_base(env: Path, tmp_path: Path) -> None:
    root = env.parent.parent
    meta(root, name="conda", version="24.1", build="py_0")
    script(root / "condabin" / "conda")
    path = f"{root / 'condabin'}{os.pathsep}{os.environ['PATH']}"
    assert find_prefix(request(tmp_path, "conda", "run", "trainer", PATH=path)) == root
    assert find_prefix(request(tmp_path, "conda", "run", "trainer", PATH=path, CONDA_PREFIX=str(env))) == env
    assert find_prefix(request(tmp_path, "conda", "run", "-n", "base", "trainer", PATH=path)) == root


def test_a_launcher_is_asked_where_files_do_not_tell(env: Path, tmp_path: Path) -> None:
    """The `conda` here is a stand-in: it proves the words that it is asked with."""
    say = f'#!/bin/sh\n[ "$*" = "run -n elsewhere printenv CONDA_PREFIX" ] && echo {env}\n'
    script(tmp_path / "bin" / "conda", say)
    asked = request(tmp_path, "conda", "run", "-n", "elsewhere", "trainer", PATH=path_of(tmp_path))
    assert find_prefix(asked) == env
    assert find_prefix(asked, may_ask=False) is None


def test_pixi_run_finds_the_environment_of_the_project_around(tmp_path: Path) -> None:
    project = tmp_path / "project"
    meta(project / ".pixi" / "envs" / "default", name="a", version="1", build="0")
    meta(project / ".pixi" / "envs" / "gpu", name="a", version="1", build="0")
    (project / "pixi.toml").write_text("")
    script(tmp_path / "bin" / "pixi")
    path = path_of(tmp_path)
    assert find_prefix(request(tmp_path, "pixi", "run", "train", PATH=path)) == project / ".pixi/envs/default"
    assert find_prefix(request(tmp_path, "pixi", "run", "-e", "gpu", "train", PATH=path)) == project / ".pixi/envs/gpu"


def test_uv_run_is_not_conda_even_in_an_active_prefix(env: Path, tmp_path: Path) -> None:
    assert not conda.applies(request(tmp_path, "uv", "run", "x.py", PATH=path_of(env), CONDA_PREFIX=str(env)))
