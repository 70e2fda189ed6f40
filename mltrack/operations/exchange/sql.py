"""`mltrack sql`: questions to the ledger in SQL, on the documented views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mltrack.ledger.asking import sql as asking_sql
from mltrack.operations.running.reconcile import reconcile

if TYPE_CHECKING:
    from mltrack.ledger.asking.sql import Answer
    from mltrack.project import Project


def ask(project: Project, question: str, values: Mapping[str, str]) -> Answer:
    """The answer to one question; the values of its named parameters are read as those of params are: `0.1` is a
    number. Runs that have not ended are not in the ledger. Raises UsageError."""
    from mltrack.formats.scalars import parse_scalar

    reconcile(project)
    return asking_sql.ask(project.ledger, question, {name: parse_scalar(text) for name, text in values.items()})


def views(project: Project) -> dict[str, tuple[str, list[str]]]:
    """The documented views: what each is, and its columns."""
    return {name: (asking_sql.VIEWS[name], columns) for name, columns in asking_sql.views(project.ledger).items()}


def definitions(project: Project) -> list[str]:
    """The SQL that made the ledger's views, tables and indexes."""
    return asking_sql.definitions(project.ledger)
