"""Sends a signal of trouble: as nobody's change, and so that no receiver can undo what is on record of it."""

from __future__ import annotations

import logging
from typing import Any

from django.db import DatabaseError, InterfaceError, transaction
from django.dispatch import Signal

from rules_engine.context.actor import NOWHERE, again
from rules_engine.surroundings.state import at_home

logger = logging.getLogger("rules_engine")


def is_heard(signal: Signal) -> bool:
    """Say whether anybody in this process listens."""
    return signal.has_listeners(None)


def tell(signal: Signal, using: str, **arguments: Any) -> None:
    """Send a signal of trouble in the caller's transaction, so that what rules make of it is as durable as that.

    It begins a chain of its own, whatever caused it: so it is seen of what comes of it that it is about trouble. A
    receiver that fails is logged, and one that spoils the transaction loses what receivers wrote and nothing else.
    """
    if not is_heard(signal):
        return
    try:
        with again(NOWHERE), at_home(), transaction.atomic(using=using):
            answers = signal.send_robust(sender=None, **arguments)
    except (DatabaseError, InterfaceError) as error:
        logger.exception("A receiver of a signal of trouble failed in the database: %s", error)
        return
    for receiver, answer in answers:
        if isinstance(answer, Exception):
            logger.error("The receiver %r of a signal of trouble failed.", receiver, exc_info=answer)
