"""The engine's own signals: what rules hear of that went wrong, registered as sites register theirs.

Each is sent once for what it tells of, by whichever process found it, in the transaction that puts it on record.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.dispatch import Signal
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from rules_engine.context.signals import register_signal

execution_given_up = Signal()
rule_keeps_failing = Signal()
work_overdue = Signal()
no_worker_seen = Signal()
chain_stopped = Signal()

_names: set[str] = set()
_ENDS_HERE = _("What a rule on it does makes no signal of trouble again when it fails.")


def register_trouble(
    name: str,
    signal: Signal,
    *,
    label: str | Promise,
    arguments: Mapping[str, str | Promise],
    hearing: str | Promise = "",
    quotes: Mapping[str, str] | None = None,
) -> None:
    """Register a signal that tells of trouble. What rules on it do makes no such signal again when it fails, and people
    are told so after ``hearing``: otherwise a mail about a mail that was given up would lead to the next. ``quotes`` is
    as for ``register_signal``. Raises ``DuplicateRegistration``."""
    said = format_lazy("{} {}", hearing, _ENDS_HERE) if hearing else _ENDS_HERE
    register_signal(name, signal, label=label, arguments=arguments, hearing=said, quotes=quotes)
    _names.add(name)


def is_trouble(name: str) -> bool:
    """Say whether a signal of that name tells of trouble."""
    return name in _names


def names() -> frozenset[str]:
    """Return the names of all signals of trouble."""
    return frozenset(_names)


_RULE = _("The rule's slug.")
_EXECUTION = "rules_engine.execution"
_NOTICED = _(
    "Workers notice it as they look for work, processes of the site once a minute, and the command rules_troubles. "
    "What is to be done after the commit is done by a worker, so a mail may wait until one is back."
)

register_trouble(
    "rules_engine.execution_given_up",
    execution_given_up,
    label=_("An execution was given up"),
    arguments={
        "rule": _RULE,
        "kind": _("The kind of its action, such as send_email."),
        "state": _("discarded, or refused where the rule's author may not do that."),
        "error": _("Why, as a sentence."),
        "attempts": _("How often it was tried."),
        "execution": _("The execution's id."),
        "event": _("The id of the event that it was for."),
        "model": _("The label of the event's model, such as shop.order; empty where it has none."),
        "pk": _("The key of the event's object, as a text."),
        "url": _("The address of its page in the admin; empty without SITE_URL."),
    },
    quotes={"error": _EXECUTION},
)
register_trouble(
    "rules_engine.rule_keeps_failing",
    rule_keeps_failing,
    label=_("A rule keeps failing"),
    arguments={
        "rule": _RULE,
        "name": _("The rule's name."),
        "model": _("The label of the rule's model, such as shop.order; empty where it has none."),
        "part": _("What fails: condition (it cannot be asked) or actions (what it has done is given up)."),
        "failed": _("How many failures that were."),
        "tried": _("Of how many."),
        "error": _("The last error."),
        "is_paused": _("True where it was paused by itself; False where that would keep it from what a save needs."),
        "url": _("The address of the rule in the admin; empty without SITE_URL."),
    },
    # The mail that is sent without a rule says it in ``reason`` as well.
    quotes={"error": _EXECUTION, "reason": _EXECUTION},
)
register_trouble(
    "rules_engine.work_overdue",
    work_overdue,
    label=_("Work is overdue"),
    arguments={
        "queue": _("The queue in which it waits."),
        "seconds": _("For how long the oldest has been due."),
        "since": _("When that was due."),
    },
    hearing=_NOTICED,
)
register_trouble(
    "rules_engine.no_worker_seen",
    no_worker_seen,
    label=_("No worker was seen"),
    arguments={
        "seconds": _("For how long."),
        "since": _("When one was last seen."),
    },
    hearing=_NOTICED,
)
register_trouble(
    "rules_engine.chain_stopped",
    chain_stopped,
    label=_("A budget stopped a chain of rules"),
    arguments={
        "rules": _("The slugs of the rules that were not carried out, in the event that went too far."),
        "reason": _("Which budget, as a sentence."),
        "root": _("The id of the chain's first event."),
        "depth": _("How many rules had set off each other."),
    },
)
