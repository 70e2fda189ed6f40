"""Two trees: which files differ, by how many lines, and the patch; from a real repository."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from mltrack.git.patch import ChangedFile, compare_trees
from tests.helpers import git, git_repository, write

TEXT = "".join(f"line {n}\n" for n in range(20))


def tree(root: Path) -> str:
    git(root, "add", "-A")
    return git(root, "write-tree").decode().strip()


def test_each_file_has_its_letter_and_its_lines(tmp_path: Path) -> None:
    root = git_repository(tmp_path, {"a.py": "1\n2\n", "old\nname": TEXT, "gone": "x\n", "w.bin": b"\0\1"})
    first = tree(root)
    write(root, {"a.py": "1\n3\n4\n", "w.bin": b"\0\2", 'new \t"name"': TEXT + "more\n", "come": ""})
    (root / "old\nname").unlink()
    (root / "gone").unlink()
    (root / os.fsdecode(b"caf\xe9")).write_text("y")
    found, patch = compare_trees(root / ".git", first, tree(root))
    blobs = {one.path: one.blobs for one in found}
    assert [blob is None for blob in (*blobs["gone"], *blobs["come"], *blobs["w.bin"])] == [0, 1, 1, 0, 0, 0]
    assert {one.path: replace(one, blobs=(None, None)) for one in found} == {
        "a.py": ChangedFile("M", "a.py", None, 2, 1),
        "w.bin": ChangedFile("M", "w.bin", None, None, None),
        'new \t"name"': ChangedFile("R", 'new \t"name"', "old\nname", 1, 0),
        "gone": ChangedFile("D", "gone", None, 0, 1),
        "come": ChangedFile("A", "come", None, 0, 0),
        os.fsdecode(b"caf\xe9"): ChangedFile("A", os.fsdecode(b"caf\xe9"), None, 1, 0),
    }
    assert "\n-2\n+3\n+4\n" in patch and "Binary files a/w.bin and b/w.bin differ" in patch


def test_a_file_that_became_a_link_is_changed(tmp_path: Path) -> None:
    root = git_repository(tmp_path, {"a": "x\n"})
    first = tree(root)
    (root / "a").unlink()
    (root / "a").symlink_to("b")
    found, _ = compare_trees(root / ".git", first, tree(root))
    assert [(one.status, one.path, one.added, one.removed) for one in found] == [("M", "a", 1, 1)]
    assert compare_trees(root / ".git", first, first) == ([], "")
