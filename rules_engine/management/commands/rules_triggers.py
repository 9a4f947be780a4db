"""``manage.py rules_triggers install | remove | status | check``: database triggers that tell rules of all writes."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError

from rules_engine.context.paths import ModelClass, find_model, label_of
from rules_engine.errors import RulesEngineError
from rules_engine.live import cache
from rules_engine.live.triggers import installing, states
from rules_engine.live.triggers.needs import relations_of
from rules_engine.management.arguments import seconds
from rules_engine.management.objects import model_label
from rules_engine.management.tables import TablesCommand
from rules_engine.management.terminal import shown
from rules_engine.models import InstalledTrigger


class Command(TablesCommand):
    """Makes triggers and removes them, and says whether they are what live rules need."""

    help = (
        "Has the database itself capture what is written into a model's table, by whoever: raw SQL, COPY, cascades, "
        "bulk operations, other programs. Workers tell the rules."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        subcommands = parser.add_subparsers(dest="subcommand", required=True, metavar="install|remove|status|check")
        about = "Make the triggers that the live rules on these models need, or make them anew."
        install = subcommands.add_parser("install", help=about, description=about)
        install.add_argument("models", nargs="+", metavar="MODEL", help="A model, such as shop.order.")
        install.add_argument(
            "--all", action="store_true", help="Capture every write of every column, so that rules may change freely."
        )
        about = "Remove the triggers of these models; their rules are told by signals again."
        remove = subcommands.add_parser("remove", help=about, description=about)
        remove.add_argument("models", nargs="+", metavar="MODEL", help="A model, such as shop.order.")
        for subcommand in (install, remove):
            subcommand.add_argument("--sql", action="store_true", help="Print the statements, and do nothing.")
            subcommand.add_argument(
                "--grace",
                type=seconds,
                metavar="SECONDS",
                help="How long processes may take to notice; as a rule some seconds more than REFRESH_SECONDS.",
            )
        about = "Show what is installed beside what live rules need. Changes nothing."
        subcommands.add_parser("status", help=about, description=about)
        about = "As status, and fail where triggers are missing or out of date; for a deployment."
        subcommands.add_parser("check", help=about, description=about)

    def handle(self, *args: Any, subcommand: str, **options: Any) -> None:
        """Do one of the four."""
        cache.refresh(force=True)
        try:
            getattr(self, f"_{subcommand}")(**options)
        except RulesEngineError as error:
            raise CommandError(shown(error)) from error

    def _install(self, models: Sequence[str], sql: bool, grace: float | None, **options: Any) -> None:
        found = [self._model(name) for name in models]
        captures = [capture for model in found for capture in installing.captures_for(model, whole=options["all"])]
        if sql:
            self._print(*(installing.definition_of(capture).statements for capture in captures))
            return
        for capture in captures:
            if self._done(capture.label, lambda: installing.install(capture, grace=grace)):  # noqa: B023
                self.stdout.write(f"{capture.label}: installed.")
            else:
                self.stdout.write(f"{capture.label}: nothing to do.")

    def _remove(self, models: Sequence[str], sql: bool, grace: float | None, **_: Any) -> None:
        labels = [label for name in models for label in self._installed(name)]
        if sql:
            self._print(*(installing.removal_of(label) for label in labels))
            return
        for label in labels:
            self._done(label, lambda: installing.remove(label, self._wait, grace=grace))  # noqa: B023
            waiting = installing.waiting_of(label)
            left = f" Captured changes that wait to be told: {waiting}. Once workers have told them, run it again."
            self.stdout.write(f"{label}: removed.{left if waiting else ''}")

    def _model(self, name: str) -> ModelClass:
        model = find_model(model_label(name))
        if model is None:
            raise CommandError(f"{name} is gone; rules_triggers remove {name} removes what is left of it.")
        return model

    def _installed(self, name: str) -> list[str]:
        """Return the labels of what is installed for a model, by the model's name."""
        model = find_model(name)
        throughs = () if model is None else (through for _, through in relations_of(model))
        labels = {name.lower(), *(label_of(through) for through in throughs)}
        known = InstalledTrigger.objects.filter(model__in=labels).values_list("model", flat=True)
        if not known:
            raise CommandError(f'No triggers are installed for "{shown(name)}"; rules_triggers status shows them.')
        return sorted(known)

    def _done(self, label: str, act: Any) -> Any:
        try:
            return act()
        except DatabaseError as error:
            raise CommandError(
                f"{label}: the database did not do it, and nothing is changed: {shown(error)} Where the table was "
                "locked, try again when fewer write into it."
            ) from error

    def _wait(self, seconds: float) -> None:
        if seconds:
            self.stdout.write(f"Waiting {seconds:g} seconds for all processes to listen to signals again…")
            self.stdout.flush()
            time.sleep(seconds)

    def _print(self, *statements: Sequence[str]) -> None:
        self.stdout.write(installing.file_of([statement for group in statements for statement in group]))

    def _status(self, **_: Any) -> list[states.TableState]:
        found = states.states()
        if not found:
            self.stdout.write("No triggers are installed; rules_triggers install MODEL makes them.")
        for table in found:
            self.stdout.write(f"{table.label}: {states.described(table)}")
            for slug, reason in sorted((table.by_signals or {}).items()):
                self.stdout.write(f"  {slug} is told by signals: {reason}")
        return found

    def _check(self, **_: Any) -> None:
        wrong = [table.label for table in self._status() if table.is_wrong]
        if wrong:
            raise CommandError(f"Run: manage.py rules_triggers install {' '.join(wrong)}")
