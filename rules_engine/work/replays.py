"""Has executions carried out again, for the admin's buttons and the commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from rules_engine import conf
from rules_engine.actions.replay_executions import ReplayExecutions, Selection
from rules_engine.models import Execution
from rules_engine.outbox import direct
from rules_engine.work.lanes import lane_latest

SIGNAL = "rules_engine.replay"


def replay(selection: Selection, *, by: Mapping[str, Any], into: str = "") -> UUID:
    """Make these executions due again, under the same ids and with their history; returns the id of the event that
    is the record of it.

    Those that ended before now, in batches, by a worker; it goes on where it was after a crash. ``by`` is who asks,
    as ``{"id", "username"}``. ``into`` is the lane that they wait in then.
    """
    config = {"selection": selection.as_json(), "into": into}
    context = {"actor": dict(by), "replay": config}
    return direct.order(ReplayExecutions.kind, config, signal=SIGNAL, context=context)


def latest_replays(lane: str, limit: int = 1) -> list[Execution]:
    """Give the latest replays that were asked for of a lane, with their events."""
    return lane_latest(conf.queue(), [lane], limit, kind=ReplayExecutions.kind)
