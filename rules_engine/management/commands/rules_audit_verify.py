"""``manage.py rules_audit_verify``: says which audit entry was changed, removed or put in since it was sealed."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from rules_engine.audit.verifying import LONGEST_TRANSACTION, Head, NoHead, Verification, current_head, parse_head
from rules_engine.management.arguments import number
from rules_engine.management.tables import TablesCommand
from rules_engine.management.terminal import counted, shown
from rules_engine.retry import LONGEST_SCHEDULED_WAIT


class Command(TablesCommand):
    """Verifies the audit trail against the chain of its seals, or prints the head of the chain."""

    help = (
        "Verifies the audit trail: says of each sealed entry that was changed or removed, and of each that was put in, "
        "and exits with 1 then. What retention and rules_erase removed is told apart. Reads only; safe at any time."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--export",
            action="store_true",
            help="Only print the head of the chain (seal, hash, entries, time) as one line of JSON, to be kept where "
            "whoever writes to this database cannot write.",
        )
        parser.add_argument(
            "--head",
            metavar="FILE",
            help="Also verify against a head that was kept: a file with what --export printed, or that text itself.",
        )
        parser.add_argument(
            "--longest-transaction",
            metavar="HOURS",
            type=_hours,
            default=LONGEST_TRANSACTION,
            help="An entry that says it is older than others by more, and was sealed after them, was put in. "
            "Default: 24.",
        )

    def handle(
        self, *args: Any, export: bool, head: str | None, longest_transaction: timedelta, **options: Any
    ) -> None:
        """Print the head, or verify."""
        if export:
            self._export()
            return
        verification = Verification(_kept(head) if head is not None else None, longest_transaction)
        count = 0
        for problem in verification.problems():
            count += 1
            self.stdout.write(shown(problem))
        here = verification.entries - verification.forgotten
        self.stdout.write(
            f"{counted(verification.seals, 'seal')}, {counted(verification.entries, 'sealed entry', 'sealed entries')}"
            f" ({verification.forgotten:,} of them removed by retention or erasure, {here:,} verified); "
            f"{verification.unsealed:,} not sealed yet."
        )
        if count:
            raise CommandError(f"The audit trail is not as it was sealed: {counted(count, 'problem')}.")
        self.stdout.write("The audit trail is as it was sealed.")

    def _export(self) -> None:
        head = current_head()
        if head is None:
            raise CommandError("Nothing is sealed yet, so there is no head; a sweep seals what the trail has.")
        self.stdout.write(head.as_json())


def _kept(text: str) -> Head:
    try:
        return parse_head(text if text.lstrip().startswith("{") else Path(text).read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"The head cannot be read: {shown(error)}.") from error
    except (NoHead, UnicodeDecodeError) as error:
        raise CommandError(shown(error)) from error


def _hours(text: str) -> timedelta:
    hours = number(text)
    if not 0 <= hours <= LONGEST_SCHEDULED_WAIT / 3600:
        raise ArgumentTypeError(f"expected a number of hours, and got {text!r}")
    return timedelta(hours=hours)
