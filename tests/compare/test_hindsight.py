"""What a record says of how hard its run is to get again, and what it lifts of what was feared."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from mltrack.compare.preflight.foreseen import Facts, foresee
from mltrack.compare.preflight.grade import grade
from mltrack.compare.preflight.hindsight import CARRIED, ENVIRONMENT, SEEN, carried, look_back, preflight_of
from mltrack.environments.python import capturing
from mltrack.records import (
    CodeState,
    Concern,
    Environment,
    Gpu,
    Hardware,
    Image,
    Input,
    LeftOut,
    NestedCode,
    Observation,
    Run,
    Warning,
)

LIMIT = 1 << 30
LARGE = "larger than 10 MiB (code.untracked_limit)"


def run_of(**changes: Any) -> Run:
    made = Run(
        1, "0" * 16, None, None, "finished", ("python", "train.py"), ".", environment=Environment("b3:0", "python")
    )
    return replace(made, **changes)


def kinds(run: Run) -> dict[str, str]:
    return {one.kind: one.grade for one in look_back(run, LIMIT)}


def test_a_plain_run_has_an_a() -> None:
    assert preflight_of(run_of(inputs=(Input("a", "file", "b3:1", 1, kept=True),)), LIMIT).grade == "A"


@pytest.mark.parametrize(
    ("item", "kind", "grade_"),
    [
        (Input("big", "file", "b3:1", 5 << 30), "input-not-kept", "F"),
        (Input("a", "file", None, 5, changed_during_run=True), "input-changed", "F"),
        (Input("a", "file", None, 5), "input-unreadable", "F"),
        (Input("https://example.org/data.csv", "url", None), "network", "D"),
    ],
)
def test_an_input_that_nobody_has_is_named(item: Input, kind: str, grade_: str) -> None:
    assert kinds(run_of(inputs=(item,))) == {kind: grade_}


def test_what_a_program_asks_of_its_own_machine_is_no_network() -> None:
    here = tuple(
        Input(f"{url}/x", "url", None) for url in ("tcp://127.0.0.1:29500", "http://localhost:8080", "http://[::1]")
    )
    assert kinds(run_of(inputs=here)) == {}


def test_a_file_that_was_left_out_counts_until_it_is_known_that_it_was_not_read() -> None:
    code = CodeState(left_out=(LeftOut("sub/big.bin", 20 << 20, LARGE),), prefix="sub/")
    seen = Observation(("library",), complete=True)
    kept = (Input("big.bin", "file", "b3:1", 20 << 20, found="observed", kept=True),)
    assert kinds(run_of(code=code)) == {"left-out": "F"}
    assert kinds(run_of(code=code, observation=seen)) == {}
    assert kinds(run_of(code=code, observation=replace(seen, complete=False))) == {"left-out": "F"}
    assert kinds(run_of(code=code, observation=seen, inputs=kept)) == {}
    assert kinds(run_of(code=code, inputs=(replace(kept[0], path="../big.bin"),))) == {"left-out": "F"}


def test_a_secret_file_that_was_read_is_told_as_one() -> None:
    code = CodeState(left_out=(LeftOut(".env", 20, "may hold secrets"),))
    read = (Input(".env", "file", None, 20, found="observed"),)
    assert kinds(run_of(code=code, observation=Observation(("hook",), True), inputs=read)) == {"secret-file": "D"}


def test_what_was_left_out_of_a_nested_repository_counts_too() -> None:
    inner = CodeState(left_out=(LeftOut("weights.bin", 1 << 30, LARGE),))
    found = look_back(run_of(code=CodeState(nested=(NestedCode("lib", inner),))), LIMIT)
    assert "lib/weights.bin (1.0 GiB)" in found[0].message


def test_every_warning_of_a_captured_python_is_a_concern_of_its_own() -> None:
    installed = SimpleNamespace(
        distributions=(SimpleNamespace(source="path", name="loose"),), nameless=["odd"], doubled=["twice"]
    )
    sources = SimpleNamespace(problems={"delta": "too large"})
    told = capturing.warnings_of({"conda": True}, installed, sources)  # type: ignore[arg-type]
    assert kinds(run_of(warnings=told)) == {
        "local-package": "D",
        "package-on-path": "D",
        "conda-python": "C",
        "environment": "B",
    }
    assert len(told) == 5


def test_the_texts_that_concerns_are_known_by_are_those_that_are_written() -> None:
    from pathlib import Path

    import mltrack

    source = "".join(
        path.read_text() for path in Path(mltrack.__file__).parent.rglob("*.py") if path.name != "hindsight.py"
    )
    assert [row[0] for row in ENVIRONMENT if row[0] not in source] == []


def test_packages_without_hashes_are_a_small_concern() -> None:
    text = "The environment's lock has no hashes of 2 packages: a, b. Complete it when an index can be asked: x."
    found = look_back(run_of(warnings=(Warning("unhashed", text),)), LIMIT)
    assert [(one.grade, one.message) for one in found] == [
        ("B", "The environment's lock has no hashes of 2 packages: a, b.")
    ]


def test_an_image_that_no_registry_has_needs_the_engine_it_is_on() -> None:
    image = Image("sha256:1", None, "train:latest")
    known = replace(image, digest="sha256:2")
    assert kinds(run_of(environment=Environment("b3:1", "docker", image=image))) == {"image-local": "D"}
    assert kinds(run_of(environment=Environment("b3:1", "docker", image=known))) == {}


def test_programs_of_the_machine_are_a_concern_and_a_hidden_python_a_larger_one() -> None:
    machine = Environment("b3:1", "system")
    assert kinds(run_of(environment=machine, command=("./train", "x"))) == {"system": "C"}
    whole = Observation(("library",), complete=True)
    assert kinds(run_of(environment=machine, command=("./train", "x"), observation=whole)) == {"system": "B"}
    assert kinds(run_of(environment=machine)) == {"python-unseen": "D"}
    assert kinds(run_of(environment=Environment())) == {}, "nobody has looked yet"


def test_torch_on_a_gpu_is_said_unless_it_is_deterministic() -> None:
    gpus = Hardware(gpus=(Gpu("H100"),))
    torch = Environment("b3:1", "python", packages={"torch": "2"})

    def seen(**changes: Any) -> dict[str, str]:
        return kinds(run_of(hardware=gpus, environment=replace(torch, **changes)))

    assert seen() == {"gpu": "B"}
    assert seen(libraries={"torch.deterministic": "True"}) == {}
    assert seen(variables={"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}) == {}
    assert seen(imported=("numpy",)) == {}
    assert seen(imported=("torch",), libraries={"torch": "2"}) == {}, "it used no GPU"
    assert seen(imported=("torch",), libraries={"torch": "2", "torch.devices": "H100"}) == {"gpu": "B"}
    assert kinds(run_of(environment=torch)) == {}


def test_programs_that_could_not_be_watched_are_named() -> None:
    found = look_back(run_of(observation=Observation(("library",), False, ("./train cannot be watched.",))), LIMIT)
    assert [(one.kind, one.grade) for one in found] == [("unwatched", "C")]
    assert "./train" in found[0].message


def test_of_what_was_foreseen_only_that_stays_which_the_start_has_settled() -> None:
    code = CodeState(left_out=(LeftOut("big.bin", 20 << 20, LARGE),))
    feared = grade([
        *foresee(Facts(run_of(code=code), "/p", keep_limit=5, inputs={"a": 9}, image="x:1", random_in="train.py")),
        Concern("network", "D", "In its last run.", ""),
    ])  # fmt: skip
    assert {one.kind for one in feared.concerns} == {"left-out", "input-not-kept", "image-tag", "seed", "network"}
    run = run_of(code=code, observation=Observation(("library",), True), preflight=feared)
    assert [one.kind for one in preflight_of(run, LIMIT).concerns] == ["seed"]
    assert preflight_of(run, LIMIT).grade == "B"


def test_what_only_a_run_can_show_is_carried_to_the_next() -> None:
    assert SEEN < CARRIED
    url = Input("https://example.org/data.csv", "url", None)
    run = run_of(inputs=(url,), preflight=grade([Concern("seed", "B", "No seed.", "")]))
    assert [one.kind for one in carried(preflight_of(run, LIMIT))] == ["network"]
