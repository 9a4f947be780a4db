"""Making and removing triggers, such that each change is told once: by signals or by triggers, never by both.

Processes notice within a second or so what is installed, by the number of the rule set. Whoever writes through Django
says which number it knows; so of a row that was captured meanwhile it is known who tells its rules. Of a writer that
says nothing it is taken, until the time ``since``, that it knows of what was there before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connections, router, transaction
from django.utils.translation import gettext

from rules_engine import conf
from rules_engine.context.paths import ModelClass, find_model, label_of
from rules_engine.databases.generic import seconds_from_now
from rules_engine.databases.triggers import triggers_of
from rules_engine.databases.triggers.protocol import Definition, Triggers
from rules_engine.databases.triggers.tables import TableCapture
from rules_engine.errors import RulesEngineError
from rules_engine.live import cache
from rules_engine.live.triggers.needs import relations_of, whole_table
from rules_engine.live.triggers.states import needs_of
from rules_engine.models import RuleSetVersion
from rules_engine.models.captures.captured import CapturedChange, InstalledTrigger
from rules_engine.surroundings.state import functions

logger = logging.getLogger("rules_engine")

#: Seconds that DDL waits for a lock, while all writers of the table wait behind it.
LOCK_SECONDS = 3.0
#: Seconds, besides those between two looks at the rule set, that a process may take to notice.
NOTICE_SECONDS = 4.0


class CannotInstall(RulesEngineError):
    """A table that cannot have triggers, or has no use for them."""


def grace_seconds() -> float:
    """Return how long a process may go on by what was installed before."""
    return NOTICE_SECONDS + float(conf.refresh_seconds())


def captures_for(model: ModelClass, *, whole: bool = False) -> list[TableCapture]:
    """Return what the triggers of a model's tables are to capture: what live rules need, or all that rules may read.

    Raises ``CannotInstall``.
    """
    using = cache.alias()
    if functions() is not None:
        raise CannotInstall(
            gettext(
                'RULES_ENGINE["SURROUNDINGS"] is set, and triggers do not know in which of them a row was written: '
                "workers would act elsewhere. Have bulk writes told by RulesManager instead."
            )
        )
    if router.db_for_write(model) != using:
        message = gettext('%(model)s is stored in the database "%(other)s", and the rules in "%(using)s".')
        raise CannotInstall(message % {"model": label_of(model), "other": router.db_for_write(model), "using": using})
    needs, excluded = needs_of(cache.current().rules)
    throughs = [through for _, through in relations_of(model) if through._meta.auto_created]
    labels = dict.fromkeys(label_of(table) for table in (model, *throughs))
    if whole:
        found = [whole_table(model)] if not model._meta.proxy else []
        found += [needs[label] for label in labels if label in needs and label != label_of(model)]
    else:
        found = [needs[label] for label in labels if label in needs]
    if not found:
        reasons = {reason for label in labels for reason in excluded.get(label, {}).values()}
        raise CannotInstall(_no_use(model, sorted(reasons)))
    for capture in found:
        if trouble := _trouble(capture.table, using):
            raise CannotInstall(
                gettext("%(model)s cannot have triggers: %(why)s.") % {"model": capture.label, "why": trouble}
            )
    return found


def _no_use(model: ModelClass, reasons: Sequence[str]) -> str:
    message = gettext(
        "No live rule on %(model)s can be told by triggers. Make the rule first, or install with --all to capture all "
        "that rules may read."
    ) % {"model": label_of(model)}
    return " ".join([message, *reasons])


def _trouble(table: str, using: str) -> str | None:
    triggers = triggers_of(using)
    return gettext("this database has none that we know") if triggers is None else triggers.trouble(table, using)


def triggers_here(using: str) -> Triggers:
    """Return how triggers are made in this database. Raises ``CannotInstall`` where we do not know."""
    triggers = triggers_of(using)
    if triggers is None:
        raise CannotInstall(gettext("Triggers are made on PostgreSQL, SQLite, MariaDB and MySQL."))
    return triggers


def definition_of(capture: TableCapture) -> Definition:
    """Return the statements that make the triggers. Raises ``CannotInstall``."""
    using = cache.alias()
    return triggers_here(using).definition(capture, CapturedChange, using)


def removal_of(label: str) -> Sequence[str]:
    """Return the statements that remove the triggers of a table."""
    using = cache.alias()
    row = InstalledTrigger.objects.using(using).get(model=label)
    return triggers_here(using).removal(_table_of(row), row.names, using)


def file_of(statements: Sequence[str]) -> str:
    """Return statements as the database's own client takes them."""
    return triggers_here(cache.alias()).file(statements)


def install(capture: TableCapture, *, grace: float | None = None) -> bool:
    """Make the triggers of a table, in the place of those that are there. Says whether anything was to be done.

    Raises ``CannotInstall``, and ``DatabaseError`` where the table is locked for longer than a writer can wait.
    """
    using = cache.alias()
    triggers, definition = triggers_here(using), definition_of(capture)
    row = InstalledTrigger.objects.using(using).filter(model=capture.label).first()
    there = triggers.installed(capture.table, using)
    if row is not None and row.coverage.now == capture and set(definition.names) == there:
        return False
    with triggers.patient(LOCK_SECONDS, using):
        removal = triggers.removal(capture.table, sorted(there), using)
        triggers.run([*removal, *definition.statements], using, capture.table)
        _note(capture.label, using, grace, captures=capture.stored(), names=list(definition.names))
    return True


def _note(label: str, using: str, grace: float | None, **columns: Any) -> None:
    """Write down what is installed now, under the next number of the rule set."""
    rows = InstalledTrigger.objects.using(using).filter(model=label)
    with transaction.atomic(using=using):
        RuleSetVersion.bump(using)
        number = RuleSetVersion.current(using)
        since = seconds_from_now(grace_seconds() if grace is None else grace)
        before = rows.values_list("captures", flat=True).first()
        if not rows.update(before=before, generation=number, since=since, **columns):
            made = InstalledTrigger(model=label, before=None, generation=number, since=since, **columns)
            made.save(using=using, force_insert=True)


def remove(label: str, wait: Callable[[float], Any], *, grace: float | None = None) -> bool:
    """Remove the triggers of a table, once all processes listen to signals again: ``wait`` is called with the seconds
    that takes. Says whether there were any. Raises as ``install``.

    What the triggers have captured, and nobody has told yet, is told by workers still: until none of it waits, it stays
    noted what they captured (``waiting_of``), and a later removal forgets that.
    """
    using = cache.alias()
    row = InstalledTrigger.objects.using(using).filter(model=label).first()
    if row is None:
        return False
    triggers = triggers_here(using)
    if row.captures is not None:
        _note(label, using, grace, captures=None)
        wait(grace_seconds() if grace is None else grace)
    table = _table_of(row)
    with triggers.patient(LOCK_SECONDS, using):
        names = {*row.names, *triggers.installed(table, using)}
        triggers.run(triggers.removal(table, sorted(names), using), using, table)
        noted = InstalledTrigger.objects.using(using).filter(model=label)
        if waiting_of(label):
            noted.update(names=[])
        else:
            noted.delete()
        RuleSetVersion.bump(using)
    return True


def waiting_of(label: str) -> int:
    """Return how many captured changes of a table wait to be told."""
    return CapturedChange.objects.using(cache.alias()).filter(model=label).count()


def after_migration(using: str, **_: Any) -> None:
    """Receive ``post_migrate``: make triggers anew that a migration has taken along, or whose columns it has.

    SQLite drops those of a table that is made anew; elsewhere one that reads a column which is gone would fail, and
    every write with it.
    """
    if using != cache.alias() or triggers_of(using) is None or not _is_migrated(using):
        return
    for row in InstalledTrigger.objects.using(using).filter(captures__isnull=False):
        capture, triggers = row.coverage.now, triggers_here(using)
        if capture is None or triggers.trouble(capture.table, using) is not None:
            continue
        left = capture.without(set(capture.columns()) - triggers.columns(capture.table, using))
        if left != capture or not set(row.names) <= triggers.installed(capture.table, using):
            install(left, grace=0)
            logger.warning("The database triggers of %s were made anew after a migration.", row.model)


def _is_migrated(using: str) -> bool:
    """Say whether our table is there: some migrate the app away."""
    return InstalledTrigger._meta.db_table in connections[using].introspection.table_names()


def _table_of(row: InstalledTrigger) -> str:
    model = find_model(row.model)
    capture = row.coverage.now or row.coverage.before
    return model._meta.db_table if model is not None else capture.table if capture else ""
