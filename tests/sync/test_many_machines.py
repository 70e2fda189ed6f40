"""Any number of checkouts and one remote, in any order, with crashes, copies, backups and gc: all end with the same."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from mltrack.digest import canonical_json
from mltrack.ledger import ledger as ledger_room
from mltrack.noun_json import to_dict
from mltrack.sync import merging, silence
from mltrack.sync.check import check_remote
from mltrack.sync.collection import GcRoad, collect
from mltrack.sync.remote import Remote
from mltrack.sync.transfer import pull, push
from tests.sync.towns import Town, objects_of

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
WHO = st.integers(0, 9)
MOST_TOWNS = 5
YEAR_NS = 365 * 24 * 3600 * 10**9


class Crash(Exception):
    pass


class Crashing(Remote):
    """A remote to which the connection is lost for good, before or after its n-th write or read."""

    def __init__(self, url: str, cache: Path, left: int, after: bool) -> None:
        super().__init__(url, cache)
        self.left, self.after = left, after

    def write(self, path: str, data: Any) -> None:
        self._step(lambda: super(Crashing, self).write(path, data))

    def remove(self, path: str) -> None:
        self._step(lambda: super(Crashing, self).remove(path))

    def read(self, path: str) -> bytes | None:
        found: list[bytes | None] = []
        self._step(lambda: found.append(super(Crashing, self).read(path)))
        return found[0]

    def _step(self, work: Any) -> None:
        self.left -= 1
        if self.left < 0 and not self.after:
            raise Crash
        work()
        if self.left < 0:
            raise Crash


class Clock:
    """The module `time`, with a clock that can be set."""

    def __init__(self) -> None:
        self.offset_ns = 0

    def time_ns(self) -> int:
        return time.time_ns() + self.offset_ns

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


class Machines(RuleBasedStateMachine):
    """Town 0 to 2 from the start; copies come later."""

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="machines"))
        self.url = str(self.root / "remote")
        self.towns = [Town(self.root / str(number)) for number in range(3)]
        self.backups: dict[int, Path] = {}
        self.pushed: set[str] = set()
        self.clock = Clock()
        self.number = 0
        self.before = (merging.BASE, silence.SO_MANY, merging.SO_MANY)
        merging.BASE, silence.SO_MANY, merging.SO_MANY = 2, 3, 3
        ledger_room.time = self.clock  # type: ignore[attr-defined]
        self.towns[0].record(b"first")
        self.do_push(self.towns[0])

    def town(self, who: int) -> Town:
        return self.towns[who % len(self.towns)]

    def do_push(self, town: Town) -> None:
        town.push(self.url, grace_s=0.0)
        self.pushed |= town.ledger.ids() - town.ledger.deleted_ids()

    @rule(who=WHO, size=st.sampled_from([5, 400, 3000]), shared=st.booleans())
    def record(self, who: int, size: int, shared: bool) -> None:
        self.number += 1
        data = bytes(size) if shared else str(self.number).encode() * size
        self.town(who).record(data, tree={"x": b"in a tree", "y": data[:3]}, why=str(self.number))

    @rule(who=WHO, which=WHO, kind=st.sampled_from(["tag", "untag", "note", "name", "delete", "restore"]))
    def edit(self, who: int, which: int, kind: str) -> None:
        town = self.town(who)
        ids = sorted(town.ledger.ids())
        if ids:
            run = ids[which % len(ids)]
            self.number += 1
            value = None if kind in ("delete", "restore") else "t" if "tag" in kind else f"{kind}{self.number}"
            town.ledger.add_event(kind, run, value)
            if kind == "name":  # whatever clocks say elsewhere, and however far this one was set back
                assert town.ledger.get(run).name == value

    @rule(who=WHO, which=WHO, shared=st.booleans())
    def keep_later(self, who: int, which: int, shared: bool) -> None:
        town = self.town(who)
        ids = sorted(town.ledger.ids())
        if ids:
            self.number += 1
            data = b"a wheel that many have" if shared else str(self.number).encode() * 300
            town.add_wheels(ids[which % len(ids)], {"x.whl": data})

    @rule(who=WHO)
    def push(self, who: int) -> None:
        self.do_push(self.town(who))

    @rule(who=WHO, data=st.booleans())
    def pull(self, who: int, data: bool) -> None:
        self.town(who).pull(self.url, data=data)

    @rule(who=WHO, left=st.integers(0, 12), after=st.booleans(), pushes=st.booleans())
    def crash(self, who: int, left: int, after: bool, pushes: bool) -> None:
        town = self.town(who)
        remote = Crashing(self.url, town.state / "remotes" / "origin", left, after)
        try:
            if pushes:
                push(remote, town.ledger, town.store, objects_of, grace_s=0.0)
            else:
                pull(remote, town.ledger, town.store, objects_of, data=True)
        except Crash:
            pass
        root = town.root
        town.__exit__()
        self.towns[self.towns.index(town)] = Town(root)

    @rule(who=WHO)
    def collect(self, who: int) -> None:
        town = self.town(who)
        collect(GcRoad(town.remote(self.url), town.ledger, town.store, objects_of, 0.0, True))

    @rule(who=WHO, left=st.integers(0, 25), after=st.booleans())
    def crash_in_collecting(self, who: int, left: int, after: bool) -> None:
        town = self.town(who)
        remote = Crashing(self.url, town.state / "remotes" / "origin", left, after)
        try:
            collect(GcRoad(remote, town.ledger, town.store, objects_of, 0.0, True))
        except Crash:
            pass

    @precondition(lambda self: len(self.towns) < MOST_TOWNS)
    @rule(who=WHO)
    def copy(self, who: int) -> None:
        source = self.town(who).root
        target = self.root / str(len(self.towns))
        shutil.copytree(source, target)
        self.towns.append(Town(target))

    @rule(who=WHO)
    def back_up(self, who: int) -> None:
        town = self.town(who)
        town.store.flush()
        target = self.root / f"backup{self.towns.index(town)}"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(town.state, target)
        self.backups[self.towns.index(town)] = target

    @rule(who=WHO)
    def come_back_from_backup(self, who: int) -> None:
        """In place, so that neither the machine nor the inode tells it."""
        number = who % len(self.towns)
        if number not in self.backups:
            return
        town = self.towns[number]
        town.__exit__()
        for path in town.state.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(self.backups[number], town.state, dirs_exist_ok=True)
        self.towns[number] = Town(town.root)

    @rule(years=st.integers(-1, 1))
    def set_the_clock(self, years: int) -> None:
        self.clock.offset_ns = years * YEAR_NS

    def teardown(self) -> None:
        if not hasattr(self, "towns"):
            return
        try:
            self.settle()
        finally:
            merging.BASE, silence.SO_MANY, merging.SO_MANY = self.before
            ledger_room.time = time  # type: ignore[attr-defined]
            for town in self.towns:
                town.__exit__()
            shutil.rmtree(self.root)

    def settle(self) -> None:
        """All push and pull until nothing moves any more; then they must be the same, and whole."""
        for _ in range(2):
            for town in self.towns:
                town.push(self.url, grace_s=0.0)
            for town in self.towns:
                town.pull(self.url, data=True)
        for town in self.towns:
            sent = town.push(self.url)
            assert (sent.records, sent.events) == (0, 0)
        towns = [*self.towns, Town(self.root / "fresh")]
        self.towns = towns
        towns[-1].pull(self.url, data=True)
        told = {folded(town, self.url) for town in towns}
        assert len(told) == 1
        assert self.pushed <= towns[0].ledger.ids()
        for town in towns:
            shown = town.ledger.ids() - town.ledger.deleted_ids()
            assert all(town.whole(run) for run in shown)
        assert list(check_remote(towns[-1].remote(self.url), objects_of)) == []


def folded(town: Town, url: str) -> bytes:
    """What a ledger shows of every run, as bytes; but of those that were hidden before they were ever pushed."""
    withheld = town.ledger.deleted_ids() - town.ledger.runs_on(url)
    state = {run: to_dict(shown) for run, shown in town.state_of_all().items() if run not in withheld}
    return canonical_json([state, sorted(town.ledger.deleted_ids() - withheld)])


TestMachines = Machines.TestCase
TestMachines.settings = settings(
    max_examples=12 * SOAK,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
