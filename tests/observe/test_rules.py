from __future__ import annotations

from dataclasses import replace

import pytest

from mltrack.observe import Seen
from mltrack.observe.rules import ABSENT, RULES, Fact, Placer, Surroundings, place

ROOT, HOME = "/home/ada/project", "/home/ada"
WORLD = Surroundings(
    ROOT,
    look=lambda path: Fact("file"),
    home=HOME,
    environments=(f"{ROOT}/.venv", "/usr", f"{HOME}/miniconda3"),
    own=(f"{ROOT}/.mltrack", "/opt/mltrack/mltrack"),
    is_code=lambda path: path == f"{ROOT}/train.py" or path == f"{ROOT}/.env.tracked",
)


def read(path: str) -> Seen:
    return Seen(path, reads=True, is_read_first=True)


def written(path: str) -> Seen:
    return Seen(path, writes=True)


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        (f"{ROOT}/data/a.csv", "data"),
        ("/data/a.csv", "data"),
        ("/tmp/a.csv", "data"),
        (f"{HOME}/datasets/a.csv", "data"),
        (f"{HOME}/.keras/datasets/mnist.npz", "data"),
        (f"{ROOT}/train.py", "code"),
        (f"{ROOT}/.mltrack/store/x", "mltrack"),
        (f"{ROOT}/sub/.mltrack/x", "mltrack"),
        (f"{ROOT}/.git/HEAD", "git"),
        (f"{ROOT}/.git", "git"),
        ("/dev/urandom", "device"),
        ("/proc/cpuinfo", "device"),
        ("/run/x.csv", "data"),
        ("/var/run/media/x.csv", "data"),
        ("/run/systemd/x", "system"),
        ("/var/run/secrets/x", "secret"),
        (f"{ROOT}/.env", "secret"),
        (f"{ROOT}/.env.tracked", "code"),
        (f"{HOME}/.ssh/config", "secret"),
        (f"{HOME}/.netrc", "secret"),
        (f"{HOME}/.kaggle/kaggle.json", "secret"),
        (f"{HOME}/.config/gcloud/application_default.json", "secret"),
        (f"{HOME}/.cache/huggingface/token", "secret"),
        ("/usr/share/zoneinfo/UTC", "system"),
        ("/etc/ssl/private.pem", "system"),
        (f"{ROOT}/.venv/lib/x.txt", "environment"),
        (f"{HOME}/elsewhere/lib/python3.12/json/x.py", "environment"),
        ("/data/env/site-packages/x/data.bin", "environment"),
        (f"{HOME}/.cache/huggingface/hub/model.bin", "cache"),
        (f"{ROOT}/__pycache__/x.pyc", "cache"),
        (f"{ROOT}/.dvc/cache/files/ab", "cache"),
        (f"{HOME}/.gitconfig", "settings"),
        (f"{HOME}/.config/tool/x.toml", "settings"),
        (f"{ROOT}/native.so.1", "library"),
    ],
)
def test_a_path_that_was_read_is_placed_by_its_rule(path: str, rule: str) -> None:
    placed = place(read(path), WORLD)
    assert placed.rule == rule
    assert (placed.made == "input") == (rule in ("data", "library", "program"))
    assert rule in RULES


@pytest.mark.parametrize(
    ("path", "made", "rule"),
    [
        (f"{ROOT}/out/m.pt", "artifact", "written"),
        ("/data/out/m.pt", "artifact", "written"),
        (f"{HOME}/models/m.pt", "artifact", "written"),
        ("/tmp/scratch", "left out", "temporary"),
        (f"{ROOT}/.ipynb_checkpoints/x.ipynb", "left out", "cache"),
        (f"{ROOT}/secrets.json", "left out", "secret"),
    ],
)
def test_a_path_that_was_written_is_placed_by_its_rule(path: str, made: str, rule: str) -> None:
    assert place(written(path), WORLD)[1:3] == (made, rule)


def test_what_was_done_to_a_file_decides_what_it_is() -> None:
    placer = Placer(WORLD)
    path = f"{ROOT}/a"
    both = Seen(path, reads=True, writes=True, is_read_first=True)
    assert placer.place(both)[1:3] == ("both", "rewritten")
    assert placer.place(both._replace(is_read_first=False))[1:3] == ("artifact", "intermediate")
    assert placer.place(Seen(path)).rule == "listing"
    assert placer.place(both._replace(path=f"{ROOT}/train.py"))[1:3] == ("artifact", "written")


def test_what_is_gone_at_the_end_was_temporary_or_is_an_input_that_is_gone() -> None:
    placer = Placer(replace(WORLD, look=lambda path: ABSENT))
    assert placer.place(written(f"{ROOT}/a"))[1:3] == ("left out", "temporary")
    assert placer.place(read(f"{ROOT}/a"))[1:3] == ("input", "data")
    assert placer.place(Seen(f"{ROOT}/a", is_removed=True))[1:3] == ("left out", "not there")


def test_a_file_opened_to_be_changed_and_not_changed_was_only_read() -> None:
    placer = Placer(replace(WORLD, look=lambda path: Fact("file", is_changed=False)))
    opened = Seen(f"{ROOT}/a.db", writes=True, updates=True, is_read_first=True)
    assert placer.place(opened)[1:3] == ("input", "data")
    assert placer.place(opened._replace(is_read_first=False))[1:3] == ("left out", "untouched")


def test_directories_sockets_and_pipes_are_no_data() -> None:
    for kind, rule in (("directory", "listing"), ("special", "device")):
        placer = Placer(replace(WORLD, look=lambda path, kind=kind: Fact(kind)))  # type: ignore[misc]
        assert placer.place(read(f"{ROOT}/a"))[1:3] == ("left out", rule)


def test_the_settings_come_before_the_rules_but_never_bring_out_a_secret() -> None:
    world = replace(
        WORLD, include=("/usr/share/dict", "~/.cache/mine", "*.key", "/tmp/keep*"), exclude=("data/raw/**",)
    )
    assert place(read("/usr/share/dict/words"), world)[1:3] == ("input", "include")
    assert place(read(f"{HOME}/.cache/mine/x"), world)[1:3] == ("input", "include")
    assert place(written("/tmp/keep.csv"), world)[1:3] == ("artifact", "include")
    assert place(read(f"{ROOT}/my.key"), world)[1:3] == ("left out", "secret")
    assert place(read(f"{ROOT}/data/raw/x"), world)[1:3] == ("left out", "exclude")


def test_a_declared_output_that_is_read_first_is_data_too() -> None:
    world = replace(WORLD, inputs=("data",), outputs=("state.db",))
    assert place(read(f"{ROOT}/data/x"), world).rule == "declared"
    assert place(written(f"{ROOT}/state.db"), world).rule == "declared"
    assert place(read(f"{ROOT}/state.db")._replace(writes=True), world)[1:3] == ("both", "rewritten")


def test_a_program_is_kept_unless_it_belongs_to_the_system() -> None:
    programs = {f"{ROOT}/train": f"{ROOT}/train", "/tmp/bin/python": "/usr/bin/python3.12", "/bin/sh": "/usr/bin/dash"}
    world = replace(WORLD, programs=programs)
    assert place(Seen(f"{ROOT}/train"), world)[1:3] == ("input", "program")
    assert place(Seen("/tmp/bin/python"), world)[1:3] == ("left out", "system")
    assert place(Seen("/bin/sh"), world)[1:3] == ("left out", "system")


def test_a_project_below_a_place_of_the_system_is_a_project() -> None:
    for root in ("/opt/work", "/tmp/work", "/usr/local/work", f"{HOME}/miniconda3/work", HOME):
        world = replace(WORLD, root=root)
        assert place(read(f"{root}/data.csv"), world)[1:3] == ("input", "data"), root
        assert place(written(f"{root}/out.csv"), world)[1:3] == ("artifact", "written"), root
    world = replace(WORLD, root=HOME)
    assert place(read(f"{HOME}/.ssh/id"), world).rule == "secret"
    assert place(read(f"{HOME}/.bashrc"), world).rule in ("settings", "data")


def test_a_home_directory_below_tmp_is_no_temporary_directory() -> None:
    world = replace(WORLD, home="/tmp/home", root="/tmp/home/project")
    assert place(written("/tmp/home/models/m.pt"), world).made == "artifact"
    assert place(written("/tmp/other"), world).made == "left out"


def test_many_paths_are_placed_by_one_question_for_each_directory() -> None:
    asked: list[str] = []

    class Counting(Placer):
        def rule_of_directory(self, directory: str) -> str | None:
            asked.append(directory)
            return super().rule_of_directory(directory)

    placer = Counting(WORLD)
    for number in range(2000):
        assert placer.place(read(f"{ROOT}/data/{number % 4}/{number}.npy")).made == "input"
    assert len(asked) == 4


def test_what_is_gone_from_a_temporary_directory_is_no_input_unless_it_is_known_to_have_been_there() -> None:
    gone = replace(WORLD, look=lambda path: ABSENT)
    assert place(read("/tmp/pymp-x1"), gone).rule == "temporary"
    assert place(read("/dev/shm/joblib_memmapping_folder_1/a.pkl"), gone).rule == "temporary"
    assert place(read("/tmp/staged.csv"), replace(gone, was_there=lambda path: True)).rule == "data"
    assert place(read("/tmp/kept.csv")._replace(before="h1"), gone).rule == "data"
    assert place(read("/data/gone.csv"), gone).rule == "data"


def test_what_was_read_in_a_directory_that_the_run_made_is_temporary_once_it_is_gone() -> None:
    seen = Seen(f"{ROOT}/scratch/x", reads=True)
    assert place(seen, replace(WORLD, look=lambda path: ABSENT)).rule == "temporary"
    assert place(seen, WORLD).rule == "data"


def test_a_program_called_by_its_name_is_the_machines_and_one_given_by_its_path_is_kept() -> None:
    paths = ("/data/bin/solver", "/data/own/uv", "/data/own/solver", f"{ROOT}/bin/solver")
    world = replace(WORLD, programs={path: path for path in paths}, tools=frozenset(("/data/bin", f"{ROOT}/bin")))
    rules = [place(Seen(path), world).rule for path in paths]
    assert rules == ["environment", "environment", "program", "program"]
    assert place(Seen("/data/bin/solver"), replace(world, command="/data/bin/solver")).rule == "program"
    assert place(Seen("/home/linuxbrew/.linuxbrew/bin/x"), replace(world, programs={})).rule == "environment"


def test_a_lock_in_a_temporary_directory_is_no_data() -> None:
    assert place(read("/tmp/uv-3f2a.lock")._replace(writes=True, updates=True), WORLD).rule == "temporary"
    assert place(read("/tmp/uv-3f2a.lock"), replace(WORLD, include=("/tmp/*.lock",))).rule == "include"
    assert place(read(f"{ROOT}/poetry.lock"), WORLD).rule == "data"


@pytest.mark.parametrize(
    "path",
    [
        "/mnt/other/home/eve/.ssh/id_rsa", "/backup/.aws/config", f"{ROOT}/.kube/config", "/srv/x/.docker/config.json",
        "/data/krb5cc_1000", "/tmp/x509up_u1000", f"{ROOT}/token", f"{ROOT}/token.txt", f"{ROOT}/openai_api_key.txt",
        f"{ROOT}/hf_token", "/home/eve/.Xauthority", "/data/eve/.config/gcloud/x.db", f"{ROOT}/data/id_ed25519",
    ],
)  # fmt: skip
def test_a_secret_is_one_wherever_it_lies(path: str) -> None:
    assert place(read(path), WORLD).rule == "secret"
    assert place(written(path), WORLD).made == "left out"


@pytest.mark.parametrize(
    "name",
    [
        "tokens.txt",
        "tokenizer.json",
        "token_ids.npy",
        "api_keys.py",
        "id_list.csv",
        "key.csv",
        "docker/a",
        "monkey.png",
    ],
)
def test_data_that_is_called_a_little_like_a_secret_is_data(name: str) -> None:
    assert place(read(f"{ROOT}/{name}"), WORLD).rule == "data"


def test_what_a_link_leads_to_is_judged_by_its_own_name() -> None:
    for real, rule in (
        (f"{ROOT}/.env", "secret"),
        ("/mnt/.ssh/x", "secret"),
        ("/data/r/.git/config", "git"),
        (f"{ROOT}/.mltrack/key", "mltrack"),
        ("/proc/self/environ", "device"),
        ("/data/raw/x", "exclude"),
        ("/usr/share/dict/words", "data"),
        (f"{ROOT}/.env.tracked", "data"),
    ):
        world = replace(WORLD, look=lambda path, real=real: Fact("file", real=real), exclude=("/data/raw",))  # type: ignore[misc]
        assert place(read(f"{ROOT}/data/conf"), world).rule == rule
        assert (place(written(f"{ROOT}/data/conf"), world).made == "artifact") == (rule == "data")
