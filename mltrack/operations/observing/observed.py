"""What a run's observation comes to in its record: inputs, warnings, and a listing of each path with its rule."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mltrack.digest import canonical_json
from mltrack.noun_json import is_utf8
from mltrack.nouns import noun
from mltrack.observe import Placed
from mltrack.observe.rules import ARTIFACT, BOTH, INPUT, is_below
from mltrack.operations.observing import listings
from mltrack.operations.observing.sources import EXPECTED
from mltrack.operations.observing.surroundings import named, shown
from mltrack.records import Input, Observation, Warning

if TYPE_CHECKING:
    from mltrack.operations.observing.watcher import Ended
    from mltrack.project import Project
    from mltrack.records import Artifact, Run
    from mltrack.redact import Redactor

MOST_DIRECTORIES = 1000
PLAIN = ("data", "include")
"""Rules whose inputs may become one directory."""
APART = ("code", "declared", "secret", "exclude", "link", "git", "mltrack")
"""Rules of what keeps a directory from becoming one input, though it is none itself."""
CACHES = ("huggingface", "torch", "kagglehub", "tensorflow_datasets", "modelscope", "clip", "whisper")
"""Below `~/.cache`: data and weights that a run depends on, and that are fetched again rather than kept."""


@noun
class Line:
    """One path of the stored listing."""

    path: str
    made: str
    rule: str
    letters: str
    """`r` read, `f` read or changed before the run wrote it, `w` written, `u` changed, `d` removed at last."""
    digest: str | None = None


def inputs_of(ended: Ended, declared: Sequence[Input]) -> list[Input]:
    """The inputs that nobody declared: files, directories of many, and URLs."""
    from mltrack.operations.observing.directories import Group, grouped
    from mltrack.operations.observing.inputs import Ending
    from mltrack.operations.observing.ways import Disturbed

    scene = ended.scene
    known = {item.path for item in declared}
    read = [item for item in ended.placed if item.made in (INPUT, BOTH) and named(scene, item.path) not in known]
    ended.keeper.release(ended.keeper.versions.keys() - {item.path for item in read})
    events = Disturbed(*ended.disturbed)
    ended.inputs.update(Ending(ended.keeper, ended.start_ns, ended.moved, events).inputs(read))
    plain = {item.path for item in read if item.made == INPUT and item.rule in PLAIN and item.path in ended.inputs}
    others = [item.path for item in ended.placed if item.path not in plain and is_something(item)]
    group = Group(scene, ended.keeper, ended.placer, ended.left_out)
    found = grouped(group, ended.inputs, [*others, *sorted(ended.code.tracked)], plain)
    return sorted(found, key=lambda item: item.path) + urls(ended.network)


def is_something(item: Placed) -> bool:
    return item.made != "left out" or item.rule in APART


def urls(network: Iterable[str]) -> list[Input]:
    """What was asked of the network, as inputs that could not be kept; a host only where none of its URLs is known."""
    from mltrack.redact import redact_url

    named_hosts = {host_of(url) for url in network if not url.startswith("tcp://")}
    wanted = [url for url in network if not url.startswith("tcp://") or host_of(url) not in named_hosts]
    return [
        Input(url, "url", None, found="observed") for url in sorted(set(map(redact_url, wanted))) if url.isprintable()
    ]


def host_of(url: str) -> str:
    host = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]


def warnings_of(ended: Ended, declared: Sequence[Input], found: Sequence[Input], is_success: bool) -> list[Warning]:
    """What the reader of the run must know of how it was watched, and of declared and observed inputs."""
    scene = ended.scene
    warnings = []
    unseen = [text for text in ended.unseen if not text.endswith(tuple(f": {why}." for why in EXPECTED))]
    if unseen:
        more = "" if "trace" in ended.sources else " What that did may be missing here; `mltrack run --trace` sees it."
        warnings.append(Warning("unwatched", f"{' '.join(unseen[:3])}{more}"))
    if ended.is_complete and is_success:
        touched = [item.path for item in ended.placed if item.seen.reads or item.seen.is_read_first]
        unread = [item.path for item in declared if item.role is None and not was_read(scene.place.root, item, touched)]
        if unread:
            warnings.append(Warning("input-not-read", f"Declared as input, and never read: {shown(unread)}."))
    undeclared = [item.path for item in found if item.kind != "url"]
    if undeclared and any(item.role is None for item in declared):
        warnings.append(Warning("input-not-declared", f"Read, and not declared as input: {shown(undeclared)}."))
    cached = sorted(cache_tops(ended))
    if cached:
        text = f"It read data below {shown(cached)}: a tool's cache, which is not kept and must be fetched again."
        warnings.append(Warning("reads-cache", text))
    if ended.left_out:
        text = f"Of the directories that are kept whole, these are left out: {shown(ended.left_out)}."
        warnings.append(Warning("inputs-left-out", text))
    root = str(scene.place.root)
    secrets = [item for item in ended.placed if item.rule == "secret" and item.seen.is_read_first]
    own = [named(scene, item.path) for item in secrets if is_below(item.path, root)]
    if own:
        warnings.append(Warning("reads-secret", f"It read {shown(own)}, which may hold secrets and is not kept."))
    return [*warnings, *listings.warnings_of(ended)]


def was_read(root: Any, item: Input, touched: Iterable[str]) -> bool:
    """Was a declared input read, or something in it?"""
    places = {os.path.normpath(os.path.join(root, item.path))}
    places |= {os.path.realpath(place) for place in places}
    return any(is_below(path, place) for path in touched for place in places)


def cache_tops(ended: Ended) -> set[str]:
    """The caches of data that the run read from."""
    home = ended.placer.world.home
    tops = [f"{home}/.cache/{name}" for name in CACHES]
    read = [item.path for item in ended.placed if item.rule == "cache" and item.seen.is_read_first]
    return {top for path in read for top in tops if is_below(path, top)}


def directories_of(ended: Ended) -> list[str]:
    """Directories of the project that were there before the command, that it wrote into or listed, and that the code
    does not bring: a reproduction must find them too, if empty. None where the filesystem does not tell their birth."""
    from mltrack.observe.trace import born_ns

    root = str(ended.scene.place.root)
    wrote = {item.path.rpartition("/")[0] for item in ended.placed if item.made in (ARTIFACT, BOTH)}
    listed = {item.path for item in ended.placed if item.rule == "listing"}
    from_code = {path.rpartition("/")[0] for path in ended.code.files}
    found = []
    for place in sorted(wrote | listed):
        is_here = place.startswith(root + "/") and os.path.isdir(place) and os.path.realpath(place) == place
        if is_here and place not in from_code and 0 < (born_ns(os.fsencode(place)) or 0) < ended.start_ns:
            found.append(place[len(root) + 1 :])
    return found[:MOST_DIRECTORIES]


def observation_of(ended: Ended, artifacts: Sequence[Artifact]) -> Observation:
    """The record's part, with the listing in the store."""
    digests = {item.path: item.digest for item in artifacts}
    data = encode(lines_of(ended, digests), ended)
    digest = ended.scene.project.store.put_bytes(data) if data else None
    return Observation(ended.sources, ended.is_complete, ended.unseen, digest, listings.kept(ended))


def lines_of(ended: Ended, artifacts: Mapping[str, str]) -> Iterator[Line]:
    """Each path with its rule; of an input its digest as it was, else that of the artifact."""
    for item in sorted(ended.placed, key=lambda placed: placed.path):
        name = named(ended.scene, item.path)
        known = ended.inputs.get(item.path)
        digest = known.digest if known is not None else artifacts.get(name)
        yield Line(name, item.made, item.rule, letters_of(item), digest)


def letters_of(item: Placed) -> str:
    """The letters of a path. What was opened to be changed and is as it was before (a database) was read."""
    seen, is_unchanged = item.seen, item.made == INPUT and item.seen.updates
    flags = (
        ("r", seen.reads or is_unchanged),
        ("f", seen.is_read_first),
        ("w", seen.writes and not is_unchanged),
        ("u", seen.updates and not is_unchanged),
        ("d", seen.is_removed),
    )
    return "".join(letter for letter, holds in flags if holds)


def encode(lines: Iterable[Line], ended: Ended) -> bytes:
    """The listing as canonical JSON lines; secrets in the names of paths are hidden."""
    lines = list(lines)
    found = []
    for line, path in zip(lines, without_secrets([line.path for line in lines], ended.scene.redactor)):
        row: dict[str, Any] = {"path": path, "made": line.made, "rule": line.rule, "letters": line.letters}
        row["digest"] = line.digest
        if not is_utf8(path):
            row["path_b64"] = base64.b64encode(os.fsencode(path)).decode()
        found.append(canonical_json(row) + b"\n")
    return b"".join(found)


def without_secrets(paths: Sequence[str], redactor: Redactor) -> list[str]:
    """The paths redacted: all at once, which is faster, unless one has more than a line."""
    together = redactor.text("\n".join(paths)).split("\n")
    return together if len(together) == len(paths) else [redactor.text(path) for path in paths]


def decode(data: bytes) -> list[Line]:
    """The lines of a listing. Raises Damaged."""
    from mltrack.errors import Damaged

    found = []
    try:
        for text in data.splitlines():
            row = json.loads(text)
            path = os.fsdecode(base64.b64decode(row["path_b64"])) if "path_b64" in row else str(row["path"])
            digest = row.get("digest")
            found.append(Line(path, str(row["made"]), str(row["rule"]), str(row["letters"]), digest))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged("The listing of observed paths is damaged.", "Run `mltrack verify`.") from error
    return found


def read_observed(project: Project, run: Run) -> list[Line]:
    """Every path that a run touched, with the rule that placed it; of a live run, as far as it is known now.

    Raises NotFound for a run that was not watched, DataMissing if the listing is not here.
    """
    from mltrack.errors import NotFound

    if run.status == "running":
        return live_lines(project, run)
    if run.observation is None or run.observation.paths is None:
        raise NotFound(f"{run.id} was not watched.", "See observe.sources in the settings.")
    from mltrack.operations.fetch import bring

    bring(project, [run.observation.paths])
    return decode(project.store.get_bytes(run.observation.paths))


def live_lines(project: Project, run: Run) -> list[Line]:
    """What is known now of a run that is alive."""
    from mltrack.live.rundir import RunDir
    from mltrack.operations.observing.late import scene_of_directory
    from mltrack.operations.observing.watcher import Watcher

    scene = scene_of_directory(project, RunDir(project.runs / run.id), run)
    if scene is None:
        return []
    ended = Watcher(scene).conclude(0)
    return list(lines_of(ended, {}))
