from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given

from mltrack.compare.changes import Change, same_value
from mltrack.compare.differences import (
    SECTIONS,
    CodeChange,
    Differences,
    diff_runs,
    explain_lock,
    here_differs,
    to_json,
)
from mltrack.compare.packages import PackageChange
from mltrack.digest import plain
from mltrack.noun_json import from_dict, to_dict
from mltrack.records import CodeState, Environment, Gpu, Hardware, Image, LeftOut, NestedCode, Parent, Run
from tests.compare.samples import artifact, digest, input_file, metric, sample_run
from tests.compare.strategies import few, runs

OTHER = "9dm1c0vw5t2ha7xs"


def whats(changes: tuple[Change, ...]) -> dict[str, str]:
    return {change.what: change.kind for change in changes}


def changed(**changes: object) -> Differences:
    return diff_runs(sample_run(), sample_run(id=OTHER, **changes))


def swapped(change: Change) -> Change:
    kind = {"added": "removed", "removed": "added"}.get(change.kind, change.kind)
    return Change(change.b.path if kind == "renamed" else change.what, change.b, change.a, kind)


def in_words(changes: tuple[Change, ...] | list[Change]) -> list[str]:
    return sorted(repr((c.what, c.kind, c.a, c.b, c.change)) for c in changes)


@few
@given(runs)
def test_a_run_does_not_differ_from_itself(run: Run) -> None:
    found = diff_runs(run, run)
    assert found.is_empty
    assert found.informative == ()


@few
@given(runs)
def test_a_run_does_not_differ_from_its_own_record_read_back(run: Run) -> None:
    record = plain(to_dict(replace(run, params={}, inputs=(), command=("x",), name=None)))
    found = diff_runs(from_dict(Run, record), from_dict(Run, record))
    assert found.is_empty


@few
@given(runs, runs)
def test_swapping_the_runs_mirrors_every_section(a: Run, b: Run) -> None:
    there, back = diff_runs(a, b), diff_runs(b, a)
    for section in (*SECTIONS, "informative"):
        forth, mirrored = getattr(there, section), [swapped(change) for change in getattr(back, section)]
        assert in_words(forth) == in_words(mirrored)


@few
@given(runs, runs)
def test_differences_become_strict_json(a: Run, b: Run) -> None:
    text = json.dumps(plain(to_json(diff_runs(a, b))), allow_nan=False)
    assert json.loads(text)["is_empty"] is diff_runs(a, b).is_empty


def test_times_hosts_users_and_names_never_make_two_runs_different() -> None:
    found = changed(
        name="wider", host="bench-2", user="bob", created_at="2027-01-01T00:00:00Z", duration_s=1.0, tags=("x",),
        notes=(), why=None, parent=Parent("rerun", "3kq8f2zxm1n4p7rt"), origin={"mltrack": "0.2.0", "replica": "r2"},
        environment=replace(sample_run().environment, interpreter="/usr/bin/python3"),
        code=replace(sample_run().code, branch="feature", origin=None),
    )  # fmt: skip
    assert found.is_empty
    assert {"name", "host", "user", "duration_s", "parent.run", "origin.mltrack", "code.branch"} <= whats(
        found.informative
    ).keys()


def test_params_are_added_removed_and_changed_with_their_numbers() -> None:
    found = changed(params={"lr": 0.01, "model.depth": 3, "optimizer": "adam", "warmup": 100})
    assert whats(found.params) == {"amp": "removed", "lr": "changed", "optimizer": "changed", "warmup": "added"}
    lr = next(change for change in found.params if change.what == "lr")
    assert lr.change == pytest.approx(-0.09)
    assert lr.percent == pytest.approx(-90)


@pytest.mark.parametrize(
    ("a", "b"),
    [(1, 1.0), (1, True), (0, False), ("1", 1), (None, "null"), ([1], [True]), ({"k": 1}, {"k": 2}), ([1], [1, 1]),
     ("x\udcff", "x\udcfe")],
)  # fmt: skip
def test_values_that_a_program_may_tell_apart_differ(a: object, b: object) -> None:
    assert not same_value(a, b)
    assert whats(diff_runs(sample_run(params={"k": a}), sample_run(id=OTHER, params={"k": b})).params) == {
        "k": "changed"
    }


@pytest.mark.parametrize(
    ("a", "b"),
    [(math.nan, math.nan), (math.nan, "NaN"), ("-Infinity", -math.inf), ([math.nan], ["NaN"]), ((1, 2), [1, 2])],
)
def test_a_value_equals_what_its_record_says_of_it(a: object, b: object) -> None:
    assert same_value(a, b)


def test_a_param_that_is_null_is_not_a_param_that_is_absent() -> None:
    assert whats(diff_runs(sample_run(params={"k": None}), sample_run(id=OTHER, params={})).params) == {"k": "removed"}


def test_a_metric_differs_by_its_last_point_or_by_anything_else_known_of_it() -> None:
    run = sample_run(metrics={"loss": metric(0.5, 10), "acc": metric(1)})
    same = sample_run(id=OTHER, metrics={"loss": metric(0.5, 10), "acc": metric(1.0)})
    assert diff_runs(run, same).metrics == ()
    longer = diff_runs(run, replace(same, metrics={"loss": metric(0.5, 11), "acc": metric(1)})).metrics
    assert whats(longer) == {"loss": "changed"}
    assert longer[0].change == 0
    assert to_json(diff_runs(run, replace(same, metrics={})))["metrics"][0]["a"]["count"] == 1


def test_a_metric_that_became_nan_is_a_change_without_a_number() -> None:
    found = diff_runs(
        sample_run(metrics={"l": metric(0.5)}), sample_run(id=OTHER, metrics={"l": metric("NaN")})
    ).metrics
    assert whats(found) == {"l": "changed"}
    assert found[0].change is None and found[0].percent is None


def test_a_change_from_zero_has_no_per_cent() -> None:
    change = Change("x", 0, 5, "changed")
    assert (change.change, change.percent) == (5, None)


def test_integers_past_every_float_are_compared_without_an_overflow() -> None:
    change = Change("x", 10**400, 10**400 + 1, "changed")
    assert change.change is None or change.change == 1
    assert Change("x", 10**400, 0.5, "changed").change is None


def test_code_differs_by_commit_tree_raw_bytes_and_nested_repositories() -> None:
    code = sample_run().code
    nested = NestedCode("vendor/lib", CodeState(commit="33" * 20, tree="55" * 20))
    found = changed(code=replace(code, commit="a" * 40, tree="b" * 40, dirty=False, raw=digest("c"), nested=(nested,)))
    assert whats(found.code) == {
        "commit": "changed", "tree": "changed", "dirty": "changed", "raw": "added", "vendor/lib/: tree": "changed",
    }  # fmt: skip
    assert whats(changed(code=replace(code, nested=())).code) == {"vendor/lib/: tree": "removed"}


def test_a_snapshot_commit_alone_is_not_a_difference() -> None:
    code = sample_run().code
    assert changed(code=replace(code, snapshot="99" * 20, packs=(digest("8"),))).is_empty


def test_of_one_tree_the_commit_and_whether_it_is_dirty_are_circumstances() -> None:
    code = sample_run().code
    nested = NestedCode("vendor/lib", replace(code.nested[0].code, commit="55" * 20, dirty=True))
    found = changed(code=replace(code, commit="a" * 40, dirty=False, branch=None, nested=(nested,)))
    assert found.is_empty and whats(found.informative).keys() >= {
        "code.commit", "code.dirty", "code.branch", "code.vendor/lib/: commit", "code.vendor/lib/: dirty",
    }  # fmt: skip
    assert whats(changed(code=replace(code, dirty=False, raw=digest("c"))).code) == {"raw": "added"}
    nothing = diff_runs(sample_run(code=CodeState()), sample_run(id=OTHER, code=CodeState(commit="a" * 40)))
    assert whats(nothing.code) == {"commit": "added"}, "that two trees are unknown does not make them one"


def test_files_in_directories_called_after_the_day_are_compared_with_one_another() -> None:
    old, new = "out/2026-11-21/01-02-04", "out/2026-11-22/08-00-01"
    then = sample_run(
        artifacts=(artifact(f"{old}/log", "1"), artifact(f"{old}/model", "m"), artifact("year_2019", "y"))
    )
    files = (artifact(f"{new}/log", "2"), artifact(f"{new}/model", "m"), artifact("year_2020", "z"))
    began = "2026-11-22T08:00:00.000000Z"
    now = sample_run(id=OTHER, created_at=began, started_at=began, artifacts=files)
    for a, b, first, second in ((then, now, old, new), (now, then, new, old)):
        found = diff_runs(a, b)
        log = next(change for change in found.artifacts if change.kind == "changed")
        assert (log.what, log.a.path, log.b.path) == (f"{first}/log", f"{first}/log", f"{second}/log")
        assert len(found.artifacts) == 3, "years are not days on which a run ran"
        assert Change("artifacts", f"{first}/model", f"{second}/model", "changed") in found.informative


def test_what_was_left_out_of_only_one_snapshot_is_named() -> None:
    found = changed(code=replace(sample_run().code, left_out=(LeftOut("other.bin", 5, "too large"),)))
    assert whats(found.code) == {"left_out.data/huge.bin": "removed", "left_out.other.bin": "added"}


def test_environment_names_packages_python_image_and_lasting_variables() -> None:
    environment = replace(
        sample_run().environment, python="3.12.1", packages={"numpy": "2.2.0", "scipy": "1.14.0", "torch": "2.5"},
        image=Image("sha256:1", None, "python:3.12"), variables={"OMP_NUM_THREADS": "4", "SLURM_JOB_ID": "17"},
    )  # fmt: skip
    found = changed(environment=environment)
    assert whats(found.environment) == {
        "python": "changed", "image.id": "added", "image.reference": "added",
        "packages.numpy": "changed", "packages.scikit-learn": "removed", "packages.torch": "added",
        "variables.OMP_NUM_THREADS": "changed", "variables.PYTHONHASHSEED": "removed",
    }  # fmt: skip
    assert "environment.variables.SLURM_JOB_ID" in whats(found.informative)


def test_an_environment_that_differs_only_in_its_digest_says_so() -> None:
    assert whats(changed(environment=replace(sample_run().environment, digest=digest("0"))).environment) == {
        "digest": "changed"
    }
    assert changed(environment=replace(sample_run().environment, digest=digest("0"), python="3"))
    assert diff_runs(sample_run(environment=Environment()), sample_run(id=OTHER, environment=Environment())).is_empty


def test_hardware_names_the_fact_of_the_gpu_that_differs() -> None:
    gpus = (replace(sample_run().hardware.gpus[0], driver="560.1"), Gpu("A second one"))
    found = changed(hardware=replace(sample_run().hardware, gpus=gpus, cores=2))
    assert whats(found.hardware) == {"cores": "changed", "gpus.0.driver": "changed", "gpus.1.name": "added"}


def test_libraries_that_both_know_are_differences_and_others_are_told() -> None:
    a = replace(sample_run().environment, libraries={"glibc": "2.36", "blas": "x", "torch.threads": "8"})
    b = replace(a, libraries={"glibc": "2.41", "blas": "x", "cuda": "12.4"})
    found = diff_runs(sample_run(environment=a), sample_run(id=OTHER, environment=b))
    assert whats(found.environment) == {"libraries.glibc": "changed"}
    assert whats(found.informative) == {
        "environment.libraries.cuda": "added", "environment.libraries.torch.threads": "removed",
    }  # fmt: skip


def test_packages_that_only_one_run_imported_are_told_if_both_were_asked() -> None:
    environment = sample_run().environment
    a, b = replace(environment, imported=("numpy", "scipy")), replace(environment, imported=("numpy", "torch"))
    found = diff_runs(sample_run(environment=a), sample_run(id=OTHER, environment=b))
    assert whats(found.informative) == {"environment.imports.scipy": "removed", "environment.imports.torch": "added"}
    assert found.is_empty
    assert diff_runs(sample_run(environment=environment), sample_run(id=OTHER, environment=b)).informative == ()


def test_settings_and_kept_code_of_an_environment_are_compared() -> None:
    environment = replace(
        sample_run().environment, options={"gpus": "all"}, trees={"sources": digest("1"), "wheels": digest("2")}
    )
    assert whats(changed(environment=environment).environment) == {"options.gpus": "added", "trees.sources": "added"}


def test_instruction_sets_are_told_as_gone_and_new() -> None:
    hardware = replace(sample_run().hardware, cpu_flags=("avx", "avx2", "avx512f", "fma"))
    other = replace(hardware, cpu_flags=("amx_tile", "avx", "avx2"))
    (change,) = diff_runs(sample_run(hardware=hardware), sample_run(id=OTHER, hardware=other)).hardware
    assert (change.what, change.a, change.b, change.kind) == ("cpu_flags", ("avx512f", "fma"), ("amx_tile",), "changed")
    more = replace(hardware, cpu_flags=(*hardware.cpu_flags, "sve"))
    (change,) = diff_runs(sample_run(hardware=hardware), sample_run(id=OTHER, hardware=more)).hardware
    assert (change.a, change.b, change.kind) == (None, ("sve",), "added")
    assert diff_runs(sample_run(), sample_run(id=OTHER, hardware=hardware)).hardware == ()


def test_two_locks_are_told_in_packages() -> None:
    a, b = sample_run(), sample_run(id=OTHER, environment=replace(sample_run().environment, lockfile=digest("9")))
    found = diff_runs(a, b)
    assert whats(found.environment) == {"lockfile": "changed"}
    known = [PackageChange("scipy", "build", "1.14.0", "1.14.0"), PackageChange("x", "place", "an index", "vcs u")]
    told = explain_lock(found, [*known, PackageChange("numpy", "up", "1", "2")], same_digest=False)
    assert whats(told.environment) == {"packages.scipy": "rebuilt", "packages.x": "moved"}
    assert whats(told.informative) == {"environment.lockfile": "changed"}
    assert explain_lock(found, [], same_digest=True).is_empty
    assert explain_lock(found, [], same_digest=False) == found


def test_this_machine_is_compared_in_what_moves_numbers() -> None:
    hardware = replace(sample_run().hardware, cpu_flags=("avx", "avx2"), cpu_id="AuthenticAMD 25 17 1")
    environment = replace(sample_run().environment, libraries={"glibc": "2.36", "torch.threads": "8"})
    run = sample_run(hardware=hardware, environment=environment)
    here = replace(
        hardware, cpu_flags=("avx",), cpu="Another", cpu_id=None, memory_bytes=1, os="Another", kernel="9", gpus=()
    )
    found = here_differs(run, here, {"glibc": "2.41", "musl": "1"})
    assert whats(found) == {
        "cpu": "changed", "cpu_flags": "removed", "gpus.0.name": "removed", "gpus.0.driver": "removed",
        "gpus.0.cuda": "removed", "libraries.glibc": "changed",
    }  # fmt: skip
    assert here_differs(run, hardware, {}) == []
    assert here_differs(replace(run, hardware=Hardware()), here, {}) == []


def test_files_are_changed_renamed_added_and_removed() -> None:
    run = sample_run(artifacts=(artifact("a", "a"), artifact("b", "b"), artifact("c", "c"), artifact("d", "d")))
    other = sample_run(
        id=OTHER, artifacts=(artifact("a", "x"), artifact("e", "b"), artifact("f", "f"), artifact("d", "d"))
    )
    found = diff_runs(run, other).artifacts
    assert whats(found) == {"a": "changed", "b": "renamed", "c": "removed", "f": "added"}
    assert next(change for change in found if change.kind == "renamed").b.path == "e"


def test_an_executable_bit_is_a_difference() -> None:
    found = diff_runs(
        sample_run(artifacts=(artifact("a"),)), sample_run(id=OTHER, artifacts=(artifact("a", executable=True),))
    )
    assert whats(found.artifacts) == {"a": "changed"}


def test_two_equal_files_renamed_are_paired_once_each() -> None:
    run = sample_run(artifacts=(artifact("a", "0"), artifact("b", "0")))
    other = sample_run(id=OTHER, artifacts=(artifact("c", "0"),))
    assert whats(diff_runs(run, other).artifacts) == {"a": "renamed", "b": "removed"}


def test_an_input_without_a_digest_is_never_called_equal() -> None:
    unknown = input_file("data/train.csv", digest=None, changed_during_run=True)
    found = diff_runs(sample_run(inputs=(unknown,)), sample_run(id=OTHER, inputs=(unknown,)))
    assert whats(found.inputs) == {"data/train.csv": "unknown"}
    assert not found.is_empty


def test_command_seed_directory_and_outcome_are_compared() -> None:
    found = changed(command=("python", "other.py"), cwd="sub", seed=None, status="failed", exit_code=None, signal=9)
    assert whats(found.command) == {"command": "changed", "cwd": "changed", "seed": "removed"}
    assert whats(found.outcome) == {"status": "changed", "exit_code": "removed", "signal": "added"}


def test_json_holds_every_section_the_files_and_the_patch() -> None:
    found = replace(changed(params={}), code_files=(CodeChange("M", "x\udcff.py"),), patch="@@\n")
    value = to_json(found)
    assert list(value) == ["a", "b", "is_empty", *SECTIONS, "informative", "code_files", "patch", "tracked_data"]
    assert value["code_files"] == [
        {"status": "M", "path": "x\udcff.py", "path_b64": "eP8ucHk=", "added": None, "removed": None}
    ]
    assert value["params"][1] == {"what": "lr", "kind": "removed", "a": 0.1, "b": None}
    assert to_json(changed(params=sample_run().params | {"lr": 0.2}))["params"] == [
        {"what": "lr", "kind": "changed", "a": 0.1, "b": 0.2, "change": 0.1, "percent": 100.0}
    ]


def test_one_changed_metric_is_found_among_twelve_thousand() -> None:
    metrics = {f"m{place}": metric(place) for place in range(4_000)}
    found = diff_runs(sample_run(metrics=metrics), sample_run(id=OTHER, metrics=metrics | {"m7": metric(-1)}))
    assert whats(found.metrics) == {"m7": "changed"}


def test_json_says_which_way_a_metric_is_better_and_a_package_moved() -> None:
    a = sample_run(metrics={"loss": metric(2.0), "x": metric(1.0), "acc": metric("NaN")})
    environment = replace(a.environment, packages={"numpy": "1.10", "odd": "?"})
    b = replace(a, id="b" * 16, metrics={"loss": metric(1.0), "x": metric(2.0), "acc": metric(0.5)})
    a = replace(a, environment=replace(environment, packages={"numpy": "1.9", "odd": "!"}))
    b = replace(b, environment=environment)
    value = to_json(replace(diff_runs(a, b), goals={"loss": "min", "acc": "max"}))
    told = {item["what"]: (item.get("goal"), item.get("better")) for item in value["metrics"]}
    assert told == {"loss": ("min", True), "x": (None, None), "acc": ("max", None)}
    moved = {item["what"]: item.get("direction") for item in value["environment"]}
    assert moved == {"packages.numpy": "up", "packages.odd": "changed"}
