"""What a person types for a name, as they see it in a table or remember it: what is meant, and what is said of it."""

from __future__ import annotations

import csv
import gc
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mltrack.cli.app import main
from mltrack.ledger.language.problems import QueryError
from mltrack.operations.asking import runs as ask
from mltrack.operations.exchange.export import ExportRequest, chosen_ids
from mltrack.operations.plotting.curves import Wanted
from mltrack.operations.plotting.figures import Figure, figure_plot
from mltrack.operations.request import silent
from mltrack.operations.seeing.selection import Choice, chosen_runs
from mltrack.plots import Scatter
from mltrack.project import Project
from mltrack.views.tables.tabular import markdown_lines
from tests.views.nasty import metric, put, run, run_id

Type = Callable[..., tuple[str, str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten runs of five seeds, which were created elsewhere; their params and metrics lie deep."""
    root = tmp_path_factory.mktemp("naming")
    (root / ".mltrack").mkdir()
    made = [
        run(
            number,
            name="baseline" if number == 3 else None,
            params={"seed": number % 5, "optim.lr": (0.1, 0.01)[number % 2], "wd": 0.1, "a.b": 1, "c.b": 2},
            metrics={"val/acc": metric(0.8 + number / 100), "train/loss": metric(0.3), "odd name": metric(number)},
        )
        for number in range(10)
    ]
    with Project(root) as project:
        put(project, made)
    return root


@pytest.fixture
def typed(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Type]:
    monkeypatch.chdir(place)

    def type_(*words: str, code: int = 0) -> tuple[str, str]:
        capsys.readouterr()
        assert main(list(words)) == code
        shown = capsys.readouterr()
        return shown.out, shown.err

    yield type_
    gc.enable()


@pytest.fixture
def project(place: Path) -> Iterator[Project]:
    with Project(place) as opened:
        yield opened


def test_a_field_of_the_run_that_no_run_has_is_the_param_called_so(typed: Type) -> None:
    said = "no run here has a seed of its own: params.seed is meant"
    groups, told = typed("ls", "--group-by", "seed", "--json")
    assert said in told and [(one["params.seed"], one["runs"]) for one in json.loads(groups)] == [
        (seed, 2) for seed in range(5)
    ]
    table, told = typed("ls", "--columns", "id,seed", "-n", "1")
    assert said in told and table.splitlines()[0].split() == ["id", "params.seed"] and table.split()[3] == "4"
    best, told = typed("ls", "--best=-seed", "--columns", "seed", "--format", "csv", "-n", "1")
    assert said in told and best == "params.seed\n0\n"
    assert typed("ls", "--sort", "seed", "--columns", "params.seed", "--format", "csv", "-n", "1") == (
        "params.seed\n0\n", f"mltrack: {said}\n",
    )  # fmt: skip
    assert typed("ls", "--columns", "name", "--format", "csv", "-n", "7")[0].endswith("baseline\n")
    assert typed("ls", "seed = 3")[1] == "mltrack: no run has a seed; did you mean params.seed?\n"


def test_a_plot_takes_the_param_for_a_field_that_no_run_has(project: Project) -> None:
    told: list[str] = []
    figure = Figure("scatter", scatter=("seed", "acc"))
    [panel] = figure_plot(project, Choice(), Wanted(), figure, told.append).panels
    assert isinstance(panel, Scatter) and panel.x.label == "params.seed" and len(panel.dots) == 10
    assert told == ["no run here has a seed of its own: params.seed is meant"]


@pytest.mark.parametrize("name", ["lr", "optim.lr", "params.optim.lr", 'params."optim.lr"'])
def test_groups_come_out_under_the_plain_name_however_it_was_typed(typed: Type, name: str) -> None:
    found, told = typed("ls", "--group-by", name, "--format", "csv")
    assert found.splitlines()[0].startswith("params.optim.lr,runs,") and told == ""


def test_an_end_of_a_name_is_enough_where_it_is_one_s_alone(typed: Type) -> None:
    assert typed("ls", "--columns", "lr,acc,acc.min", "--sort=-acc", "-n", "1", "--format", "csv")[0] == (
        "lr,acc,acc.min\n0.01,0.89,0.89\n"
    )
    assert "smaller is better: --best -params.optim.lr)" in typed("ls", "--best", "lr")[1]
    assert "--best '-metrics.\"odd name\"')" in typed("ls", "--best", "odd name")[1]
    assert "Did you mean params.a.b or params.c.b?" in typed("ls", "--sort", "b", code=2)[1]
    for words in (("--sort", "lrr"), ("--columns", "lrr"), ("--group-by", "lrr"), ("--best", "lrr")):
        said = typed("ls", *words, code=2)[1]
        assert "Did you mean params.optim.lr?" in said and len(said) < 90


@pytest.mark.parametrize(
    "query, meant",
    [
        ("wd=0.1", "params.wd?"),
        ("val/acc > 0.8", "metrics.val/acc?"),
        ("status = failed or acc > 0.8", "metrics.val/acc?"),
        ("b = 1", "params.a.b or params.c.b?"),
        ("accc > 0.8", "metrics.val/acc?"),
        ("stats = failed", "status?"),
        ("baseline", "a name is asked for by: name = baseline, a tag by: tag:baseline"),
    ],
)
def test_a_query_with_a_bare_name_is_told_what_was_meant(project: Project, query: str, meant: str) -> None:
    choice = Choice(where=query)
    for asked in (
        lambda: ask(query, directory=project.root),
        lambda: chosen_runs(project, choice, silent),
        lambda: chosen_ids(project, ExportRequest(choice), silent),
    ):
        with pytest.raises(QueryError) as caught:
            asked()
        assert str(caught.value.hint).endswith(meant)


def test_ls_and_rerun_know_the_names_too(typed: Type) -> None:
    for words in (("ls", "wd=0.1"), ("ls", "--where", "wd=0.1"), ("rerun", "--where", "wd=0.1", "--plan")):
        assert "did you mean params.wd?" in typed(*words, code=2)[1]


def test_groups_show_the_columns_that_were_asked_for(typed: Type) -> None:
    words = ("ls", "--group-by", "lr", "--columns")
    assert typed(*words, "loss,lr")[0].splitlines()[0].split() == ["lr", "runs", "ended", "newest", "loss", "best"]
    row = next(csv.DictReader(io.StringIO(typed(*words, "loss,params.wd", "--best", "acc", "--format", "csv")[0])))
    assert row["best.params.wd"] == "0.1" and row["metrics.train/loss.mean"] and "metrics.val/acc.mean" not in row
    assert "best.params.seed" not in row
    assert "metrics.val/acc.mean" in typed(*words, "metrics", "--format", "csv")[0]
    for columns in ("wd", "status"):
        assert "A group has many values of" in typed(*words, columns, code=2)[1]


def test_sort_and_limit_are_for_named_runs_where_none_are_asked_for(project: Project) -> None:
    ids = [run_id(number) for number in (4, 2, 8)]

    def found(*words: str, **asked: object) -> list[str]:
        return [one.id for one in chosen_runs(project, Choice((*ids, *words), **asked), silent)]  # type: ignore[arg-type]

    assert found() == ids and found(limit=2) == ids[:2]
    assert found(sort="-acc") == [run_id(8), run_id(4), run_id(2)]
    assert found(sort="acc", limit=1) == [run_id(2)]
    assert found("params.wd > 0", sort="acc", limit=1) == [*ids, run_id(0)], "then they are for those asked for"
    assert chosen_ids(project, ExportRequest(Choice(tuple(ids), sort="acc", limit=2)), silent) == [
        run_id(2), run_id(4),
    ]  # fmt: skip


def test_without_a_run_of_this_checkout_the_newest_of_all_are_taken(typed: Type) -> None:
    newest = run_id(9)
    page, told = typed("diff", "--json")
    assert f"taking the newest, {newest} and {run_id(8)}" in told and "seed" in page
    assert f"taking the newest, {newest}" in typed("show", "--json")[1]
    assert json.loads(typed("show", "--json")[0])["id"] == newest
    assert typed("log")[0] == ""
    assert f"The newest of all is {newest}" in typed("show", "@", code=4)[1]


def test_runs_may_be_asked_for_until_a_time(typed: Type, place: Path) -> None:
    def count(*words: str) -> int:
        return len(json.loads(typed("ls", "--json", *words)[0]))

    assert count("--until", "2026-11-01T04:00:00Z") == 5 and count("--until", "2026-10-31") == 0
    assert count("--since", "2026-11-01T04:00:00Z", "--until", "2026-11-01T06:00:00Z") == 3
    assert "--until: 'soon' is no time" in typed("ls", "--until", "soon", code=2)[1]
    assert count("-n", "3") == 3 and count("--since", "1000 weeks ago") == 10
    assert len(ask(since="2026-11-01T04:00:00Z", until="2026-11-01T06:00:00Z", branch="main", directory=place)) == 3
    assert [one.id for one in ask(sort="-acc", limit=1, directory=place)] == [run_id(9)]


def test_markdown_is_for_people_and_keeps_no_value_of_hundreds_of_signs() -> None:
    text = "".join(markdown_lines(["n" * 500, "x"], [[10**400, "y" * 500], [-1, [1] * 300]]))
    assert all(len(cell) <= 90 for line in text.splitlines() for cell in line.split(" | "))
    assert "| -1 |" in text and "an integer of 1,329 bits" in text
