"""``manage.py rules_erase MODEL PK``: forgets all that is recorded of one object."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.db import router, transaction

from rules_engine.management.objects import model_label
from rules_engine.management.surroundings import add_surroundings, entered
from rules_engine.management.tables import TablesCommand
from rules_engine.management.terminal import counted, shown
from rules_engine.models import Event
from rules_engine.surroundings.listed import HOME
from rules_engine.surroundings.state import is_home
from rules_engine.surroundings.state import shown as name_of
from rules_engine.work.erasure.of_object import erase, surroundings_of, untold


class Command(TablesCommand):
    """Removes all that is recorded of one object, samples in tests included, once somebody has confirmed it."""

    help = (
        "Removes all that is recorded of one object, its audit entries and the tests whose sample it is included; what "
        "waits to be done about it is not done any more. The object itself stays. Records of other objects that "
        "mention this one stay as well: name those objects in their turn."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("model", metavar="MODEL", help="The object's model, such as clinic.patient.")
        parser.add_argument("pk", metavar="PK", help="The object's primary key.")
        whose = parser.add_mutually_exclusive_group()
        add_surroundings(whose)
        whose.add_argument("--everywhere", action="store_true", help="All surroundings share the object.")
        parser.add_argument("--dry-run", action="store_true", help="Only count what would be removed.")
        parser.add_argument("--no-input", action="store_true", help="Do not ask; for scripts.")

    def handle(self, *args: Any, model: str, pk: str, surroundings: str, everywhere: bool, **options: Any) -> None:
        """Count, ask, remove."""
        label = model_label(model)
        with entered(surroundings) as of:
            if of is not None and not everywhere and not surroundings and is_home():
                self._see_that_home_alone_has_it(label, pk)
            self._erase(label, pk, None if everywhere else of, **options)

    def _see_that_home_alone_has_it(self, label: str, pk: str) -> None:
        counts = surroundings_of(label, pk)
        if not set(counts) - {HOME}:
            return
        listed = [f"{shown(name_of(text)) or 'none'} ({counted(counts[text], 'event')})" for text in sorted(counts)]
        raise CommandError(
            f"Objects {shown(label)} {shown(pk)} are recorded in several surroundings, or in others than these: "
            f"{', '.join(listed)}. Say whose is meant with --surroundings NAME, or --everywhere if they all share it."
        )

    def _erase(self, label: str, pk: str, of: str | None, *, dry_run: bool, no_input: bool, **_: Any) -> None:
        counts = erase(label, pk, of=of, dry_run=True)
        if of is not None and (left := untold(label, pk)):
            entries = counted(left, "audit entry", "audit entries")
            self.stdout.write(
                f"{entries} of objects {shown(label)} {shown(pk)} left alone: whose they are was told by events that "
                "are gone. --everywhere removes them too."
            )
        if not any(counts.values()):
            self.stdout.write(f"Nothing is recorded of {shown(label)} {shown(pk)}.")
            return
        if dry_run:
            self._say(counts, "would be removed")
            return
        if not no_input:
            self._say(counts, "will be removed")
            self._confirm(f"{shown(label)} {shown(pk)}", sum(counts.values()))
        with transaction.atomic(using=router.db_for_write(Event)):
            counts = erase(label, pk, of=of)
        self._say(counts, "removed")

    def _say(self, counts: dict[str, int], what: str) -> None:
        for name, count in counts.items():
            self.stdout.write(f"{name}: {count:,} {what}")

    def _confirm(self, name: str, rows: int) -> None:
        try:
            answer = input(f'Remove {counted(rows, "record")} of {name} for good? Type "yes": ')
        except EOFError:
            raise CommandError("Nobody is there to confirm; give --no-input to erase all the same.") from None
        if answer.strip().lower() != "yes":
            raise CommandError("Nothing was removed.")
