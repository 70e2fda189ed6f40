"""The blob of every file that was found, and proof that it is the blob of what is on the disk.

A blob whose id is that of the file's own bytes proves itself. Where a filter converts, git's reading and ours stand
between two readings with the same result, and the raw bytes are kept beside the tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from mltrack.git import conversion
from mltrack.git.conversion import Attributes
from mltrack.git.listing import Listing
from mltrack.git.repository import Repository
from mltrack.git.survey import UNSTABLE, VANISHED, Found, Survey, hash_file
from mltrack.git.worktree import EXECUTABLE, LINK, Unstable, Worktree, stat_key
from mltrack.nouns import noun

ATTEMPTS = 3


@noun
class RawFile:
    """A file whose bytes are not those of its blob, kept in the store."""

    path: bytes
    digest: str
    size_bytes: int
    executable: bool


@noun
class Site:
    """One worktree while it is captured."""

    repo: Repository
    work: Worktree
    listing: Listing
    survey: Survey
    scratch: Path
    """A directory of ours; the private index is `index` in it."""
    keep_raw: Callable[[bytes, Path], str]

    @property
    def index(self) -> Path:
        return self.scratch / "index"

    def read_attributes(self, paths: Iterable[bytes]) -> Attributes:
        """The converting attributes of the paths; asks git only where some attributes file can apply."""
        if (
            self.work.has_attributes
            or any(path.endswith(b".gitattributes") for path in self.listing.entries)
            or conversion.attributes_apply(self.listing.config, self.repo.common_dir)
        ):
            return conversion.read_attributes(self.repo, paths, self.index)
        return {}


def settle(site: Site) -> tuple[dict[bytes, str], list[RawFile]]:
    """(path -> blob id, raw files). What does not hold still for three attempts goes to `left_out`."""
    ids: dict[bytes, str] = {}
    raws: dict[bytes, RawFile] = {}
    todo = list(site.survey.found)
    for _ in range(ATTEMPTS):
        new = _blob_ids(site, todo)
        ids.update(new)
        unstable = []
        for path in todo:
            found = site.survey.found[path]
            if path not in new:
                unstable.append(path)
            elif new[path] != found.raw_id and not _is_believed(site, path):
                raw = _keep_raw(site, path, found)
                if raw is None:
                    unstable.append(path)
                else:
                    raws[path] = raw
        todo = _read_again(site, unstable)
        if not todo:
            break
    for path in todo:
        site.survey.leave_out(path, None, UNSTABLE)
    return ids, [raw for path, raw in sorted(raws.items()) if path in site.survey.found]


def _blob_ids(site: Site, paths: list[bytes]) -> dict[bytes, str]:
    """The id of each path's blob, which is in the object database; without those that could not be read."""
    ids, differing = {}, []
    for path in paths:
        name = site.listing.entries.get(path, (b"", ""))[1]
        raw_id = site.survey.found[path].raw_id
        if name and raw_id in (None, name) and path not in site.listing.intended:
            ids[path] = name
        else:
            differing.append(path)
    if not differing:
        return ids
    texts, files = _link_texts(site, differing), [p for p in differing if site.survey.found[p].mode != LINK]
    attributes = site.read_attributes(files) if files else {}
    converted = []
    for path in files:
        if not conversion.is_lfs(attributes, path):
            converted.append(path)
        elif (pointer := _lfs_text(site, path)) is not None:
            texts[path] = pointer
    ids.update(conversion.write_converted(site.repo, converted))
    ids.update(_left_alone(site, converted, ids, attributes))
    ids.update(conversion.write_texts(site.repo, texts, site.scratch) if texts else {})
    return ids


def _link_texts(site: Site, paths: list[bytes]) -> dict[bytes, bytes]:
    texts = {}
    for path in paths:
        found = site.survey.found[path]
        if found.mode == LINK:
            try:
                texts[path] = site.work.read_link(path)
            except OSError:
                continue
            found.raw_id = site.work.blob_id(texts[path])
    return texts


def _lfs_text(site: Site, path: bytes) -> bytes | None:
    """What git-lfs would commit: the pointer, or the file itself if it is one. None where it cannot be read."""
    try:
        if conversion.is_pointer(site.work, path, site.survey.found[path].key[2]):
            return site.work.read_start(path, conversion.POINTER_LIMIT)
        return site.work.lfs_pointer(path)
    except OSError:
        return None


def _left_alone(site: Site, paths: list[bytes], ids: dict[bytes, str], attributes: Attributes) -> dict[bytes, str]:
    """New ids for files whose line ends `git add` would not have converted; see `keeps_crlf`."""
    suspects = [
        path
        for path in paths
        if path in site.listing.entries
        and path in ids
        and ids[path] != site.survey.found[path].raw_id
        and not {b"filter", b"working-tree-encoding", b"ident"} & attributes.get(path, {}).keys()
    ]
    if not suspects:
        return {}
    return conversion.write_raw(site.repo, sorted(conversion.keeps_crlf(site.repo, suspects, site.index)))


def _is_believed(site: Site, path: bytes) -> bool:
    """Is this a file of the index that was not read, and that nothing converts? (A pointer's content is kept raw.)"""
    found = site.survey.found[path]
    if found.raw_id is not None:
        return False
    try:
        return path not in site.survey.lfs or conversion.is_pointer(site.work, path, found.key[2])
    except OSError:
        return False


def _keep_raw(site: Site, path: bytes, found: Found) -> RawFile | None:
    """Keep the file's own bytes; None if it did not hold still meanwhile."""
    try:
        digest = site.keep_raw(path, site.work.place(path))
        after = site.work.stat(path)
        if after is None or stat_key(after) != found.key:
            return None
        if found.raw_id is not None and site.work.raw_id(path, after)[0] != found.raw_id:
            return None
    except (OSError, Unstable):
        return None
    return RawFile(path, digest, found.key[2], found.mode == EXECUTABLE)


def _read_again(site: Site, paths: list[bytes]) -> list[bytes]:
    """Hash unstable files anew; those that can still be read."""
    for path in paths:
        try:
            found = site.work.stat(path)
        except OSError:
            found = None
        if found is None:
            site.survey.leave_out(path, None, VANISHED)
        else:
            hash_file(site.work, site.survey, path, found)
    return [path for path in paths if path in site.survey.found]
