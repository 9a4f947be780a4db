"""``python -m rules_engine.testing.faults.producer``: one process that makes changes, at a steady rate.

It keeps a book outside of the database: a line before each change, and one after its commit. One that was killed goes
on after the last change that it has begun.
"""

from __future__ import annotations

import os
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BEGUN, COMMITTED = "begun", "committed"
#: Seconds until the database is asked again that did not take a change.
PAUSE_SECONDS = 0.2


@dataclass(frozen=True)
class Book:
    """The lines of one producer, each written at once, so that a kill neither halves nor hides one."""

    path: Path

    def write(self, word: str, number: int) -> None:
        """Add a line: the word, the number of the change, and the time."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, f"{word} {number} {time.time()}\n".encode())
        finally:
            os.close(descriptor)

    def lines(self, word: str) -> Iterator[tuple[int, float]]:
        """Yield the numbers of that word, with their times."""
        text = self.path.read_text() if self.path.exists() else ""
        for said, number, at in map(str.split, text.splitlines()):
            if said == word:
                yield int(number), float(at)


def produce(scenario: str, book: Book, first: int, step: int, count: int, rate: float, since: float) -> None:
    """Make changes ``first``, ``first + step`` … below ``count``, ``rate`` in a second since then (seconds since 1970).

    A change whose commit failed is left: nobody knows whether it is there, and the end asks the database.
    """
    from django.db import DatabaseError, InterfaceError, connections, transaction
    from django.utils.module_loading import import_string

    save = import_string(scenario)().save
    begun = [number for number, _at in book.lines(BEGUN)]
    for number in range(begun[-1] + step if begun else first, count, step):
        time.sleep(max(0.0, since + number / step / rate - time.time()))
        book.write(BEGUN, number)
        try:
            with transaction.atomic():
                save(name_of(number))
        except (DatabaseError, InterfaceError):
            connections.close_all()
            time.sleep(PAUSE_SECONDS)
        else:
            book.write(COMMITTED, number)


def name_of(number: int) -> str:
    """Return the name of a change."""
    return f"change-{number}"


def main() -> None:
    """Read the command line, which the ordeal writes."""
    parser = ArgumentParser()
    parser.add_argument("scenario")
    parser.add_argument("book", type=Path)
    for name, kind in (("first", int), ("step", int), ("count", int), ("rate", float), ("since", float)):
        parser.add_argument(name, type=kind)
    given = parser.parse_args()
    import django

    django.setup()
    sys.stdout.write("Producing. ready.\n")
    sys.stdout.flush()
    produce(given.scenario, Book(given.book), given.first, given.step, given.count, given.rate, given.since)


if __name__ == "__main__":
    main()
