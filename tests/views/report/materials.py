"""What reports are made of, with one text in every field that a record, a patch, an output or a file has."""

from __future__ import annotations

from dataclasses import replace

from mltrack.compare.differences import CodeChange, diff_runs
from mltrack.compare.goals import goal_of
from mltrack.compare.many import compare_runs
from mltrack.compare.members import DataChange, Entry, FileChange, MemberChanges
from mltrack.operations.reporting.previews import Preview
from mltrack.operations.reporting.report import Material, Story
from mltrack.records import (
    Artifact,
    CodeState,
    Environment,
    Gpu,
    Hardware,
    Image,
    Input,
    LeftOut,
    Log,
    MetricSummary,
    NestedCode,
    Parent,
    Rank,
    Recognised,
    Resources,
    Run,
    Warning,
)
from mltrack.verdicts import ArtifactVerdict, Calibration, Condition, Divergence, MetricVerdict, Spread, Verdict

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


def everywhere(text: str, number: int = 0) -> Run:
    """A run with the text in all its fields; `number` makes values differ."""
    other = f"{text}{number}"
    path = f"out/{text}"
    return Run(
        schema=1,
        id=f"{number}kq8f2zxm1n4p7rt",
        name=other,
        experiment=text,
        status="failed" if number else "finished",
        command=("python", other, text),
        cwd=text,
        exit_code=number,
        created_at="2026-11-21T01:02:03.123456Z",
        started_at=text,
        duration_s=1.5,
        user=text,
        host=text,
        why=text,
        tags=(text, text),
        notes=(text, other),
        fingerprint=text,
        code=CodeState(
            text, text, True, text, other, text, text, (text, path), (LeftOut(text, 3, text),),
            (text,), text, (NestedCode(text, CodeState(text, text, tree=text)),),
        ),
        environment=Environment(
            text, text, other, text, {text: other, "numpy": "2.1"}, text, Image(text, text, text), {text: text},
            {text: other}, {text: text}, {"blas": other, text: text}, (text,),
        ),
        hardware=Hardware(other, 3, 1 << 30, (Gpu(text, 1, text, text),), text, text, text, cpu_flags=(other,)),
        params={text: other, "lr": number / 10},
        param_sources={text: text},
        inputs=(Input(path, "file", f"b3:{number:064x}", 7, role=text), Input(text, "url", None), Input("x" + text, "file", None)),
        artifacts=(Artifact(path, "file", f"b3:{number:064x}", 7), Artifact(f"{text}.png", "file", text, 3)),
        metrics={text: MetricSummary(number + 0.5, 0.1, 2.0, 3, 2), "acc": MetricSummary(text, text, text, 1)},
        recognised={text: Recognised("dvc")},
        log=Log(text, 10),
        resources=Resources(5, 1.0),
        ranks=(Rank(0, 0, text, text, {text: text}, text, Log(text, 3)),),
        parent=Parent(text, text),
        verdict=Verdict(
            "different", "0kq8f2zxm1n4p7rt", (ArtifactVerdict(path, "different", text),),
            (MetricVerdict(text, 0.1, text, None, "different"),), (Condition(text, text, other), Condition("exit_code", 0, text)),
            cause=None, remarks=(text,),
        ),
        calibrations=(
            Calibration(
                "c", text, "nothing", ("a", "b"), (1, 2), text, text, 0.95, 0.95, False, False,
                {text: Spread((0.1, 0.2), 0.15, 0.05, 0.0, 0.3)}, {}, (Divergence("metric", text, 1, text, other, (text, text)),),
            ),
        ),
        warnings=(Warning(text, text),),
        record_digest=text,
    )  # fmt: skip


def story_of(run: Run, text: str) -> Story:
    previews = (
        Preview(f"{text}.png", "picture", text, 48, "png", PNG + run.id[:1].encode()),
        Preview(f"{text}.csv", "table", text, 48, rows=((text, "b"), (text, text)), remark=text),
        Preview(f"{text}.txt", "text", text, 48, lines=(text, text), remark=text),
        Preview(f"{text}.bin", "listed", text, 48, remark=text),
    )
    patch = f"diff --git a/{text} b/{text}\n--- a/x\n+++ b/x\n@@ -1 +1 @@ {text}\n-{text}\n+{text}\n"
    return Story(run, patch, (text, f"line {text}"), previews, (text,))


def of_one(text: str, title: str | None = None) -> Material:
    run = everywhere(text)
    return Material(title, (story_of(run, text),), (run,), missing=(text,))


def of_two(text: str, title: str | None = None) -> Material:
    a, b = everywhere(text), replace(everywhere(text, 1), inputs=(), calibrations=())
    found = diff_runs(a, b)
    goals = {change.what: goal_of(change.what, {}) or "max" for change in found.metrics}
    members = MemberChanges((FileChange(text, "added", None, Entry(text, None, 3)),), 1)
    found = replace(found, data={("artifacts", f"out/{text}"): DataChange(members, {text: text})})
    found = replace(
        found,
        patch=f"@@ {text}\n-{text}\n+{text}",
        code_files=(CodeChange("M", text), CodeChange("A", f"{text}.csv")),
        goals=goals,
    )
    found = replace(found, tracked=DataChange(members, {text: text}))
    stories = tuple(replace(story_of(run, text), run=run) for run in (a, b))
    stories = (stories[0], replace(stories[1], previews=(replace(stories[1].previews[0], digest="other"),)))
    return Material(title, stories, (a, b), found, missing=(text,))


def of_many(text: str, title: str | None = None) -> Material:
    runs = tuple(everywhere(text, number) for number in range(4))
    return Material(title, (), runs, comparison=compare_runs(runs), missing=(text,))
