"""Push to a directory and pull from it, beside rsync and the peers that are here."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mltrack.records import Input
from mltrack.store.checkout import restore_path
from mltrack.store.keep import keep_path
from tests.benchmarks.peers import peers
from tests.benchmarks.store import make_tree
from tests.benchmarks.timing import Case, case_table, side_by_side
from tests.sync.towns import Town

FILES = int(os.environ.get("MLTRACK_BENCH_FILES", "50000"))


def measure(scratch: Path) -> None:
    for count in (1000, FILES):
        push_and_pull(scratch / f"of-{count}", count)


def push_and_pull(scratch: Path, count: int) -> None:
    tree, remote, there, back = (scratch / name for name in ("tree", "remote", "there", "back"))
    make_tree(tree, count)
    with Town(scratch / "town") as town:
        kept = keep_path(tree, town.store)
        town.store.flush()
        run = town.record(inputs=(Input("data", "directory", kept.digest, kept.size_bytes, count, kept=True),))

        def forget_remote() -> None:
            shutil.rmtree(remote, ignore_errors=True)
            town.ledger.forget_segments(str(remote), town.ledger.segment_names(str(remote)))

        def pull() -> None:
            shutil.rmtree(scratch / "other", ignore_errors=True)
            with Town(scratch / "other") as other:
                other.pull(str(remote), data=True)

        def pull_and_lay_out() -> None:
            pull()
            shutil.rmtree(back, ignore_errors=True)
            with Town(scratch / "other") as other:
                restore_path(other.store, "directory", str(kept.digest), back)

        rsync = Case("limit: rsync -a there", ["rsync", "-a", f"{tree}/", str(there)], None, lambda: drop(there))
        push = Case("push", lambda: town.push(str(remote)), None, forget_remote)
        again = Case("push again, nothing to do", lambda: town.push(str(remote)))
        rsync_back = Case("limit: rsync -a back", ["rsync", "-a", f"{there}/", str(back)], None, lambda: drop(back))
        cases = [
            rsync,
            push,
            again,
            rsync_back,
            Case("pull --data", pull),
            Case("pull --data, checkout", pull_and_lay_out),
        ]
        side_by_side(cases, rounds=2, warm_up=False)
        assert run.id in town.ledger.ids()
    others = []
    for peer in peers(scratch / "peers"):
        peer.fresh(tree)()
        peer.sh(peer.add)
        others.append(peer.case("push", peer.push))
    side_by_side(others, rounds=1, warm_up=False)
    case_table(f"{count:,} files of 4 KiB, to and from a directory", [*cases, *others], rsync)


def drop(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
