"""`mltrack reproduce`: run a past experiment again from what was recorded, and say whether the result is the same.

Restores code, data and environment into a directory of their own, runs the command there, and compares. The new run
is recorded in the enclosing project, or in the directory itself, which then becomes a clone.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.compare.verdict.grades import is_success
from mltrack.compare.verdict.judge import could_not_run
from mltrack.errors import MltrackError, NotSealed
from mltrack.nouns import noun
from mltrack.operations.judging.judging import judged_run, keep_verdict
from mltrack.operations.keeping.workspaces import is_held, is_ours, remove
from mltrack.operations.outside.left_behind import sweep
from mltrack.operations.outside.listed import read_conditions
from mltrack.operations.repeating.beginning import begin
from mltrack.operations.repeating.repetition import PLAIN, Asked, Repetition, lacking_locale
from mltrack.operations.share import NewClone
from mltrack.project import Project
from mltrack.records import Run
from mltrack.redact import Redactor
from mltrack.verdicts import Condition, Verdict

if TYPE_CHECKING:
    from mltrack.environments import Rebuilt


LAST_WORDS = 200
"""Characters of the last line of a failed command's output that are told."""


@noun
class Reproduction:
    """What `reproduce` came to."""

    then: Run
    now: Run | None
    """None when the command could not be started."""
    verdict: Verdict
    directory: Path
    is_gone: bool = False
    """The directory was removed, as was asked for where the verdict holds."""


def reproduce(
    ref: str, start: Path, url: str | None = None, into: Path | None = None, asked: Asked = PLAIN
) -> Reproduction:
    """Reproduce a run from the enclosing project, or from the remote at `url`.

    Raises NotFound, RemoteError, DataMissing and others when it cannot even begin; what fails later is a verdict.
    """
    project, then, top = begin(ref, start, url, into, asked.tell)
    with project:
        done = again(project, then, top, asked)
        if isinstance(project, NewClone) and done.now is None and not project.is_used:
            project.take_back()
            done = replace(done, is_gone=True)
        return done


def again(project: Project, then: Run, top: Path, asked: Asked = PLAIN) -> Reproduction:
    """Reproduce a run in the directory `top`; one below the project's own goes if it cannot even be restored."""
    sweep(project)
    repetition = Repetition(project, then, top, asked)
    try:
        repetition.restore()
        rebuilt = repetition.build()
        now = repetition.run()
    except NotSealed as error:  # the next command still needs what the run wrote
        return failed(repetition, error)
    except MltrackError as error:
        repetition.drop()
        if repetition.phase in ("fetching", "restoring"):
            repetition.remove_half()
            raise
        return failed(repetition, error)
    except BaseException:
        repetition.drop()
        raise
    repetition.drop()
    return cleaned(repetition, judged(repetition, now, rebuilt))


def cleaned(repetition: Repetition, done: Reproduction) -> Reproduction:
    """Without its workspace, if that was asked for, is ours, and the verdict holds."""
    project, top = repetition.project, repetition.top
    if not (repetition.asked.clean and is_success(done.verdict.grade) and is_ours(project, top)) or is_held(top):
        return done
    remove(top)
    return replace(done, is_gone=True)


def failed(repetition: Repetition, error: MltrackError) -> Reproduction:
    then = repetition.then
    return Reproduction(then, None, could_not_run(then.id, repetition.phase, cause_of(error)), repetition.top)


def judged(repetition: Repetition, now: Run, rebuilt: Rebuilt) -> Reproduction:
    """The verdict, kept as an event of the new run."""
    project, then, outside = repetition.project, repetition.then, repetition.outside
    told = [Condition(warning.kind, None, warning.message) for warning in rebuilt.warnings]
    met = outside.conditions_met(now)
    names = [*repetition.listed.conditions, *read_conditions(now)]
    locale = lacking_locale(then)
    names += [] if locale is None else [Condition("locale", locale, "not on this machine, so that of C")]
    verdict = judged_run(project, then, now, (*names, *outside.conditions, *met, *told))
    if verdict.cause and now.exit_code != 0:
        verdict = replace(verdict, cause=f"{verdict.cause}{last_words(project, now)}")
    return Reproduction(then, keep_verdict(project, now, verdict), verdict, repetition.top)


def last_words(project: Project, run: Run) -> str:
    """` Its output ends with ...`, of a command that failed; nothing where it said nothing, or nobody knows what."""
    from mltrack.operations.log import Part, read_output

    try:
        lines = [line.data.decode(errors="replace").strip() for line in read_output(project, run.id, Part(lines=8))]
    except (MltrackError, OSError):
        return ""
    words = next((line for line in reversed(lines) if line), "")
    words = "".join(sign if sign.isprintable() else " " for sign in words)
    shown = words if len(words) <= LAST_WORDS else f"{words[:LAST_WORDS]}..."
    return f" Its output ends with `{shown}`." if words else ""


def cause_of(error: MltrackError) -> str:
    """The error as a text that may be kept: an installer's output can hold the password of an index."""
    text = str(error).strip()
    return Redactor(os.environ).text(f"{text}{chr(10) if chr(10) in text else ' '}{error.hint or ''}".strip())
