"""Lines of an import checked by several processes at once, in order: their parsing is most of the work.

A worker is sent lines and answers with plain tuples; it asks no ledger. A line that is not proved at sight comes back
unjudged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mltrack.errors import Damaged
from mltrack.ledger.keeping.crew import Crew
from mltrack.ledger.keeping.deriving import Prepared, from_plain_tuple, nothing_known, plain_tuple, prepared
from mltrack.ledger.keeping.packing import Packer
from mltrack.operations.exchange.lines import proved_at_sight


class Check:
    """The work of a worker: the records of lines as plain tuples, packed with a dictionary where one is given; None
    for each line that is to be judged by who asked."""

    def __init__(self, dictionary: tuple[int, bytes] | None) -> None:
        self.number = None if dictionary is None else dictionary[0]
        self.packer = Packer(b"" if dictionary is None else dictionary[1])
        self.known = nothing_known()

    def __call__(self, lines: Sequence[bytes]) -> list[tuple[Any, ...] | None]:
        return [self.record_of(line) for line in lines]

    def record_of(self, line: bytes) -> tuple[Any, ...] | None:
        try:
            seen = proved_at_sight(line)
            record = None if seen is None else prepared(seen[1], self.known, seen[0])
        except Exception:  # whatever it is: who asked judges the line again, and says what is wrong with it
            return None
        if record is None:
            return None
        if self.number is not None:
            record = record._replace(text=self.packer.pack(record.text), dictionary=self.number)
        return plain_tuple(record)


def answers(chunks: Iterable[list[bytes]], dictionary: tuple[int, bytes] | None) -> Iterator[list[Prepared | None]]:
    """What came of each chunk of lines, in order. Raises Damaged when a worker was killed."""
    with Crew(Check(dictionary)) as crew:
        found = crew.answers(chunks)
        while True:
            try:
                answer = next(found, None)
            except (EOFError, BrokenPipeError) as error:
                raise Damaged(
                    "A process of the import was killed.", "Is there too little memory? Try again."
                ) from error
            if answer is None:
                return
            yield [None if values is None else from_plain_tuple(values) for values in answer]
