"""``manage.py rules_run``: runs a rule on what is there."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError

from rules_engine.capture.one_rule.telling import as_told
from rules_engine.context.actor import paused
from rules_engine.context.paths import find_model
from rules_engine.errors import did_you_mean
from rules_engine.live import cache
from rules_engine.management.tables import TablesCommand
from rules_engine.management.terminal import counted, progress, shown
from rules_engine.models import Rule, Run
from rules_engine.rules.matching import CompiledRule
from rules_engine.test.ahead.what_is_there import Look, look_at, occasion_for
from rules_engine.work.runs import selecting, telling
from rules_engine.work.runs.permitted import RUN_RULE
from rules_engine.work.runs.starting import CannotRun, live_rule, start_run, told_keys, why_not

#: Seconds between two looks at how far it is.
PAUSE = 0.5


class Command(TablesCommand):
    """Tells one rule of the objects that are there."""

    help = (
        "Runs a rule on what is there: on all that its condition selects, or on the objects of some keys. It is told "
        "of each as it is, by workers; what it does is done as ever. Exit code 1: it was stopped, or some failed."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", metavar="RULE", help="The slug of a rule that is on.")
        parser.add_argument("--keys", nargs="+", metavar="KEY", help="Only on the objects of these keys.")
        parser.add_argument("--dry-run", action="store_true", help="Only count on how many objects it would act.")
        parser.add_argument("--here", action="store_true", help="Tell it in this process, and wait for no worker.")
        parser.add_argument("--no-wait", action="store_true", help="Begin it, and end.")
        parser.add_argument("--user", metavar="USERNAME", help="In the name of this user; the operator, unless said.")

    def handle(self, *args: Any, slug: str, keys: list[str] | None, user: str | None, **options: Any) -> None:
        """Count, or begin the run and say how it goes."""
        cache.refresh()
        try:
            rule = live_rule(slug)
            if why := why_not(rule):
                raise CannotRun(why)
            asked_by = _user(user)
            if options["dry_run"]:
                self._count(rule, keys, asked_by)
                return
            run = start_run(slug, selection=keys, asked_by=asked_by, version=rule.version)
        except CannotRun as error:
            hint = did_you_mean(slug, list(Rule.objects.values_list("slug", flat=True))) if not _is_there(slug) else ""
            raise CommandError(shown(f"{error}{hint}")) from error
        if options["no_wait"]:
            self.stdout.write(f"Workers run it on {counted(run.total or 0, 'object')}: {run.pk}")
            return
        self._wait(run, is_here=options["here"])

    def _count(self, rule: CompiledRule, keys: list[str] | None, user: Any) -> None:
        model = find_model(rule.model)
        if model is None:
            raise CannotRun(why_not(rule))
        using, told = cache.alias(), as_told(rule)
        objects: Any = selecting.rows_of(model, told, using)
        if keys is not None:
            objects = selecting.of_keys(selecting.rows_of(model, None, using), told_keys(model, keys))

        def watch(look: Look) -> None:
            progress(self, f"Looked at {look.looked_at:,} of {look.total:,}")

        look = look_at(told, objects, occasion_for(user), using, seconds=float("inf"), watch=watch)
        progress(self, "")
        failed = f" {look.failed:,} could not be evaluated: {look.detail}" if look.failed else ""
        self.stdout.write(shown(f"It would act on {counted(look.matched, 'object')}.{failed}"))

    def _wait(self, run: Run, *, is_here: bool) -> None:
        while run.is_live:
            with paused():
                told = telling.tell_due(seconds=PAUSE) if is_here else 0
            if not told:
                time.sleep(PAUSE)
            run.refresh_from_db()
            progress(
                self, f"Looked at {run.looked_at:,} of {run.total or 0:,}; it matched {run.matched:,}. {run.reason}"
            )
        progress(self, "")
        failed = f" {counted(run.failed, 'object')} failed: {run.reason}" if run.failed else ""
        if run.state != Run.State.DONE:
            raise CommandError(
                shown(f"It matched {counted(run.matched, 'object')} before it was {run.state}. {run.reason}")
            )
        self.stdout.write(shown(f"It matched {counted(run.matched, 'object')} of {run.looked_at:,}.{failed}"))
        if run.failed:
            raise CommandError(f"{counted(run.failed, 'object')} failed.", returncode=1)


def _is_there(slug: str) -> bool:
    return Rule.objects.filter(slug=slug).exists()


def _user(name: str | None) -> Any:
    if name is None:
        return None
    model = get_user_model()
    user = model._default_manager.filter(**{model.USERNAME_FIELD: name}).first()
    if user is None:
        raise CommandError(f'There is no user "{shown(name)}".')
    if not user.has_perm(RUN_RULE):
        raise CommandError(f"{shown(name)} lacks the permission {RUN_RULE}.")
    return user
