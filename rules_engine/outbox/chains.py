"""Where a cascade stops: how deep rules may set off rules, and how many executions one original event may lead to.

What other workers have not committed yet cannot be seen, so a chain may go past its budget by what the actions that
run at the same moment add to it: at most one action's worth for each further worker, and no action adds more than the
budget. Making savers wait for each other instead would make them lock each other out.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import IntegrityError, transaction
from django.db.models import Sum

from rules_engine import conf, models, types
from rules_engine.context.actor import Cause, Tally
from rules_engine.databases.savepoints import confined
from rules_engine.rules.matching import CompiledRule
from rules_engine.troubles import telling
from rules_engine.troubles.signals import chain_stopped, is_trouble

#: The part of the budget that one action may add before the chain is counted again: an action that saves thousands
#: of objects would else spend most of its time counting.
UNCOUNTED = 0.01
#: The part of the budget that is left from which on each event is counted by itself, however much it adds.
NEAR_END = 0.1


def reason_to_stop(event: types.Event, adding: int, cause: Cause, using: str) -> str:
    """Say why the chain must not go on with ``adding`` more executions, as a sentence; empty where it may.

    ``cause`` is the execution that made the change: events from outside have none, and are never limited. May query
    once. Raises ``DatabaseError``.
    """
    if event.depth > conf.max_depth():
        return f"Rules set off rules {event.depth} levels deep; RULES_ENGINE['MAX_DEPTH'] is {conf.max_depth()}."
    if adding and not _fits(event, adding, cause.tally, using):
        return (
            f"One event led to so many executions that {adding} more are past {conf.root_budget()}, "
            "which is RULES_ENGINE['ROOT_BUDGET']."
        )
    return ""


def may_count_next(cause: Cause) -> bool:
    """Say whether the next event of the chain may have it counted anew: then those before are to be written by then."""
    tally, budget = cause.tally, conf.root_budget()
    if tally.told:
        return False
    is_near = tally.counted is None or tally.counted + tally.added > budget * (1 - NEAR_END)
    return is_near or tally.added > budget * UNCOUNTED


def is_news(rules: Sequence[CompiledRule], cause: Cause) -> bool:
    """Say whether some of the rules have not been told yet that the chain is stopped for what the running action does.

    One row says it: an action that goes on saving thousands of objects would else leave a row for each.
    """
    new = {rule.slug for rule in rules} - cause.tally.told
    cause.tally.told.update(new)
    return bool(new)


def tell(event: types.Event, slugs: Sequence[str], reason: str, using: str) -> None:
    """Tell, in the caller's transaction, that the chain of this event was stopped: once for each chain, and of none
    that began with trouble. Raises ``DatabaseError``."""
    if not telling.is_heard(chain_stopped):
        return
    key = {"kind": models.Trouble.Kind.CHAIN, "about": str(event.root_id)}
    # Asked first, so that of many that are stopped at once few wait for each other.
    if models.Trouble.objects.using(using).filter(**key).exists():
        return
    root = models.Event.objects.using(using).filter(pk=event.root_id).values_list("signal", flat=True).first()
    if is_trouble(root or ""):
        return
    try:
        with transaction.atomic(using=using):
            models.Trouble.objects.using(using).create(**key)
    except IntegrityError:
        return
    facts = {"rules": list(slugs), "reason": reason, "root": str(event.root_id), "depth": event.depth}
    telling.tell(chain_stopped, using, **facts)


def _fits(event: types.Event, adding: int, tally: Tally, using: str) -> bool:
    if tally.told:
        return False  # once stopped, the action does not go on counting
    budget = conf.root_budget()
    near = tally.counted is None or tally.counted + tally.added + adding > budget
    if near or tally.added > budget * UNCOUNTED:
        tally.counted, tally.added = _counted(event, using), 0
    fits = (tally.counted or 0) + tally.added + adding <= budget
    tally.added += adding if fits else 0
    return fits


def _counted(event: types.Event, using: str) -> int:
    # Events know how many executions they have: a join with executions was a scan of that table on PostgreSQL.
    with confined(using):
        chain = models.Event.objects.using(using).filter(root_id=event.root_id).order_by()
        return chain.aggregate(total=Sum("execution_count"))["total"] or 0
