"""Signals as rules: what administrators define in the admin, evaluated on Django's signals, run through Celery.

This is what a site's own code uses. Authors of actions find theirs in ``rules_engine.actions``, senders that work in
batches in ``rules_engine.sending``. Names are loaded when they are first used: importing the package needs no settings.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rules_engine.logs.one_line import keep_to_one_line as keep_to_one_line

if TYPE_CHECKING:
    from rules_engine.capture.bulk.querysets import RulesManager as RulesManager
    from rules_engine.capture.bulk.querysets import RulesQuerySet as RulesQuerySet
    from rules_engine.capture.bulk.querysets import watching_bulk as watching_bulk
    from rules_engine.context.actor import acting_as as acting_as
    from rules_engine.context.actor import paused as paused
    from rules_engine.context.signals import register_signal as register_signal

__version__ = "0.1.0"

# Before any module of ours can log. What is said there quotes data, and texts of errors.
keep_to_one_line(logging.getLogger(__name__))

_HOMES = {
    "RulesManager": "rules_engine.capture.bulk.querysets",
    "RulesQuerySet": "rules_engine.capture.bulk.querysets",
    "acting_as": "rules_engine.context.actor",
    "paused": "rules_engine.context.actor",
    "register_signal": "rules_engine.context.signals",
    "watching_bulk": "rules_engine.capture.bulk.querysets",
    # What the documents once named here, for the actions that sites wrote by them.
    "Action": "rules_engine.actions",
    "ActionResult": "rules_engine.actions",
    "PermanentError": "rules_engine.actions",
    "TransientError": "rules_engine.actions",
    "reads": "rules_engine.actions",
    "register_action": "rules_engine.actions",
    "text": "rules_engine.actions",
    "register_overview": "rules_engine.sending",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
