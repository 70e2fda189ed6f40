"""Questions in SQL get answers, and change nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mltrack.errors import UsageError
from mltrack.operations.exchange.sql import ask, definitions, views
from mltrack.project import Project
from mltrack.views.sql import EXAMPLES, values_of, views_page
from tests.exchange.conftest import IDS


def answer(project: Project, question: str, **values: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in ask(project, question, values).rows]


def test_the_views_answer_by_the_names_of_their_columns(source: Project) -> None:
    assert answer(source, "SELECT count(*) FROM run") == [(6,)]
    asked = "SELECT run, value FROM param WHERE name = 'lr' AND value > :least ORDER BY run"
    assert answer(source, asked, least="0.05")[0] == (IDS[0], 0.1)
    assert answer(source, "SELECT tag FROM tag WHERE run = :id", id=IDS[1]) == [("best",)]
    assert answer(source, "SELECT version FROM package WHERE run = :id AND name = 'numpy'", id=IDS[0]) == [("2.1.0",)]
    assert set(views(source)) == {"run", "param", "metric", "artifact", "input", "package", "tag", "note"}
    assert "CREATE VIEW param" in "\n".join(definitions(source))
    for example in EXAMPLES:
        answer(source, example)
    assert "mltrack sql" in views_page(views(source)).render(80, False)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM event", "UPDATE run_row SET name = 'x'", "INSERT INTO meta VALUES ('a', 'b')", "DROP VIEW run",
        "CREATE TABLE x (a)", "CREATE TEMP TABLE x (a)", "ATTACH ':memory:' AS x", "DETACH main", "VACUUM",
        "VACUUM INTO '/tmp/never'", "PRAGMA user_version = 9", "PRAGMA journal_mode = DELETE", "PRAGMA writable_schema = 1",
        "PRAGMA query_only = OFF", "PRAGMA main.user_version = 3", "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA optimize",
        "SELECT load_extension('x')", "BEGIN IMMEDIATE", "SAVEPOINT x", "REINDEX", "ANALYZE", "COMMIT", "SELECT 1; DELETE FROM meta",
        "WITH x AS (SELECT 1) DELETE FROM meta", "EXPLAIN DELETE FROM meta", "", ";", "-- nothing", "SELECT", "SELECT \0",
        "SELECT fts3_tokenizer('simple')", "DELETE FROM meta RETURNING key", "CREATE VIRTUAL TABLE t USING fts5(a)",
    ],
)  # fmt: skip
def test_what_is_no_question_is_refused_and_the_file_stays_the_same(source: Project, statement: str) -> None:
    source.ledger.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path = source.ledger.path
    before = path.read_bytes()
    with pytest.raises(UsageError) as caught:
        answer(source, statement)
    assert caught.value.hint and "\n" not in caught.value.message
    source.ledger.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("SELECT * FROM runs", ("no view runs", "Did you mean run?")),
        ("SELECT * FROM parms", ("no view parms", "Did you mean param?")),
        ("SELECT statu FROM run", ("no column statu", "Did you mean status")),
        ("SELECT value FROM run", ("No table of the question has the column value", "param")),
        ('SELECT id FROM run WHERE name = :x', ("parameter :x", "-p x")),
        ("SELECT nonsense(1)", ("no function nonsense", "")),
    ],
)  # fmt: skip
def test_a_wrong_name_is_told_with_the_nearest_one(source: Project, question: str, words: tuple[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        answer(source, question)
    assert words[0] in caught.value.message and words[1] in (caught.value.hint or "")


def test_rows_come_one_by_one_and_bytes_are_shown_as_text(source: Project) -> None:
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
    rows = ask(source, endless, {}).rows
    assert [next(rows)[0] for _ in range(3)] == [1, 2, 3]
    rows.close()  # type: ignore[attr-defined]
    assert list(values_of([(b"abc", 1)], for_person=False)) == [["YWJj", 1]]


def test_ctrl_c_ends_a_question_that_takes_too_long(source: Project) -> None:
    source.close()
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c"
    process = subprocess.Popen(
        [sys.executable, "-m", "mltrack", "sql", endless],
        cwd=source.root,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130 and b"error" not in said
