"""``manage.py rules_explain MODEL PK``: what happened to an object, as far as it was recorded."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from rules_engine.errors import did_you_mean
from rules_engine.management.arguments import whole
from rules_engine.management.objects import model_label
from rules_engine.management.surroundings import add_surroundings, entered
from rules_engine.management.tables import TablesCommand
from rules_engine.management.terminal import shown
from rules_engine.models import Attempt, Event, Execution, Rule
from rules_engine.models.inheritance import names_of
from rules_engine.source.module import python_of
from rules_engine.surroundings.state import shown as name_of
from rules_engine.test.why import Said, Told, events_about, labels_of, rules_on, tell

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Command(TablesCommand):
    """Tells the recorded events of one object: rules tried, where each stopped, what each action did."""

    help = (
        "Shows the recorded events of one object: which rules were tried and at which gate each stopped, what was done "
        "and what came of each attempt. An event that no rule matched leaves no record, unless its model is recorded."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("model", metavar="MODEL", nargs="?", help="The object's model, such as clinic.doctor.")
        parser.add_argument("pk", metavar="PK", nargs="?", help="The object's primary key.")
        parser.add_argument("--python", metavar="SLUG", help="Instead, print that rule as a Django receiver.")
        parser.add_argument(
            "--since", type=moment, help="Only events since then: 30m, 2h, 7d, 2026-01-31 or 2026-01-31T08:00."
        )
        add_surroundings(parser)
        parser.add_argument("--limit", type=whole, default=20, help="So many events, the newest ones. Default: 20.")

    def handle(self, *args: Any, model: str | None, pk: str | None, surroundings: str, **options: Any) -> None:
        """Tell them, oldest first; or print a rule as Python."""
        if options.get("python") is not None:
            self.stdout.write(_python(options["python"]), ending="")
            return
        if model is None or pk is None:
            raise CommandError("Name the object's model and its key, such as clinic.doctor 7; or --python SLUG.")
        with entered(surroundings):
            self._explain(model_label(model), pk, **options)

    def _explain(self, label: str, pk: str, *, since: datetime | None, limit: int, **_: Any) -> None:
        names = names_of(label, pk)
        events = events_about(names)
        if since is not None:
            events = events.filter(occurred_at__gte=since)
        listed = list(events[:limit])
        if not listed:
            when = "" if since is None else f" since {_time(since)}"
            self.stdout.write(
                f"{shown(label)} {shown(pk)}: not recorded{when}. An event is recorded when a rule matches it or fails "
                "on it, and kept for the time of retention: this says nothing about what happened, or why not."
            )
            return
        more = events.count() - len(listed)
        if more > 0:
            self.stdout.write(f"({more} earlier not shown; --limit shows more.)")
        attempts, executions = _attempts(listed), _executions(listed)
        for told in reversed(tell(listed, list(rules_on(labels_of(names, (event.model for event in listed)))))):
            self._tell(told, executions.get(told.event.pk, []), attempts, label)

    def _tell(self, told: Told, executions: list[Execution], attempts: dict[Any, list[Attempt]], label: str) -> None:
        event = told.event
        actor = f" by {shown(event.actor_name or event.actor_id)}" if event.actor_id else ""
        request = f" in request {shown(event.request_id)}" if event.request_id else ""
        chain = f", {event.depth} deep in the chain of {event.root_id}" if event.depth else ""
        what = f"{event.signal} ({event.operation})" if event.operation else event.signal
        model = f" as {event.model}" if event.model != label else ""
        where = f" in {shown(name_of(event.surroundings))}" if event.surroundings else ""
        self.stdout.write(f"{_time(event.occurred_at)} {what}{model}{where}{actor}{request}{chain} [event {event.id}]")
        if event.context.get("changed"):
            self.stdout.write(f"  changed: {shown(', '.join(map(str, event.context['changed'])))}")
        for evaluation in event.evaluations:
            self.stdout.write(f"  {_outcome(evaluation)}")
            for execution in executions:
                if (execution.rule_slug, execution.rule_version) == (evaluation["rule"], evaluation["version"]):
                    self._tell_execution(execution, attempts.get(execution.pk, []))
        for said in told.said:
            if not said.is_recorded:
                self.stdout.write(f"  {_worked_out(said)}")

    def _tell_execution(self, execution: Execution, attempts: list[Attempt]) -> None:
        said = execution.error or execution.summary
        end = f": {shown(said)}" if said else ""
        self.stdout.write(f"    {execution.position}. {shown(execution.kind)}: {execution.state}{end}")
        if execution.state == Execution.State.RETRYABLE and execution.next_attempt_at:
            self.stdout.write(f"       next attempt at {_time(execution.next_attempt_at)}")
        for attempt in attempts:
            took = f", {attempt.duration.total_seconds():.2f} s" if attempt.duration is not None else ""
            error = f": {shown(attempt.error)}" if attempt.error else ""
            line = f"attempt {attempt.number} at {_time(attempt.started_at)}: {attempt.outcome}{took}{error}"
            self.stdout.write(f"       {line}")


def _python(slug: str) -> str:
    rule = Rule.objects.filter(slug=slug).first()
    if rule is None:
        hint = did_you_mean(slug, list(Rule.objects.values_list("slug", flat=True)))
        raise CommandError(f'There is no rule "{slug}".{hint}')
    return python_of([rule.spec()])


def _executions(events: list[Event]) -> dict[Any, list[Execution]]:
    executions: dict[Any, list[Execution]] = {}
    for execution in Execution.objects.filter(event__in=events).order_by("rule_slug", "position"):
        executions.setdefault(execution.event_id, []).append(execution)
    return executions


def _attempts(events: list[Event]) -> dict[Any, list[Attempt]]:
    attempts: dict[Any, list[Attempt]] = {}
    for attempt in Attempt.objects.filter(execution__event__in=events).order_by("number"):
        attempts.setdefault(attempt.execution_id, []).append(attempt)
    return attempts


def _outcome(evaluation: dict[str, Any]) -> str:
    name = f"{shown(evaluation.get('rule'))} v{evaluation.get('version')}"
    detail = f": {shown(evaluation['detail'])}" if evaluation.get("detail") else ""
    gate = f" at {evaluation['gate']}" if evaluation.get("gate") else ""
    outcome = {"matched": "matched", "not_matched": "did not match", "error": "failed"}
    return f"{name} {outcome.get(evaluation.get('outcome', ''), '?')}{gate}{detail}"


def _worked_out(said: Said) -> str:
    """Tell of a rule of which nothing is recorded at this event."""
    words = {"not_matched": "would not match", "error": "would fail", "untried": "was not tried"}
    gate = f" at {said.gate}" if said.gate else ""
    detail = f": {shown(said.detail)}" if said.detail else ""
    return f"{shown(said.slug)} {words.get(said.verdict, 'is not recorded')}{gate}{detail}"


def _time(value: datetime) -> str:
    return timezone.localtime(value).strftime("%Y-%m-%d %H:%M:%S") if timezone.is_aware(value) else str(value)


def moment(text: str) -> datetime:
    """Return the time that ``--since`` means. Raises ``ArgumentTypeError``."""
    ago = re.fullmatch(r"(\d{1,5})([mhdw])", text, re.ASCII)
    if ago:
        return timezone.now() - timedelta(**{UNITS[ago[2]]: int(ago[1])})
    try:
        day = parse_date(text)
        named = parse_datetime(text) if day is None else datetime.combine(day, time())
        since = timezone.make_aware(named) if named is not None and timezone.is_naive(named) else named
        if since is not None and since.astimezone(UTC):  # at the ends of the calendar there is no such time
            return since
    except (ValueError, OverflowError):
        pass
    raise ArgumentTypeError(f"expected a time such as 2h, 7d or 2026-01-31, and got {text!r}")
