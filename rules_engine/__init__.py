"""Signals as rules: what administrators define in the admin, evaluated on Django's signals, run through Celery.

This is the public API. Names are loaded when they are first used, so that importing the package needs no settings.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rules_engine.actions.replay_executions import Selection
    from rules_engine.context.actor import acting_as, paused
    from rules_engine.context.signals import register_signal
    from rules_engine.context.snapshot import plain
    from rules_engine.errors import (
        PermanentError,
        Problem,
        Refused,
        RulesEngineError,
        SettingsError,
        TemplateError,
        TransientError,
        did_you_mean,
    )
    from rules_engine.outbox.direct import order
    from rules_engine.rules.contract import ANYTHING, Action, Effect, Preview, Route
    from rules_engine.rules.registry import register_action
    from rules_engine.rules.values import evaluate, problems, reads, text
    from rules_engine.texts import render
    from rules_engine.types import ActionContext, ActionResult, Event, FieldChange, RuleSpec
    from rules_engine.work.batches import screen, start_many
    from rules_engine.work.claims import Claim, cancel, claim, finish, release, renew, start
    from rules_engine.work.endings import Finished, finish_many
    from rules_engine.work.lanes import (
        LaneBacklog,
        LaneFigures,
        lane_backlog,
        lane_counts,
        lane_failures,
        lane_figures,
        lane_latest,
        lane_troubles,
    )
    from rules_engine.work.leases import claim_crashed, claim_lanes, due_lanes, in_flight
    from rules_engine.work.overview import Cell, OverviewTable, register_overview
    from rules_engine.work.queues import register_drain
    from rules_engine.work.replays import latest_replays, replay
    from rules_engine.work.run import LeaseKeeper

__version__ = "0.1.0"

_HOMES = {
    "rules_engine.rules.contract": ("ANYTHING", "Action", "Effect", "Preview", "Route"),
    "rules_engine.rules.registry": ("register_action",),
    "rules_engine.actions.replay_executions": ("Selection",),
    "rules_engine.rules.values": ("evaluate", "problems", "reads", "text"),
    "rules_engine.work.batches": ("screen", "start_many"),
    "rules_engine.work.claims": ("Claim", "cancel", "claim", "finish", "release", "renew", "start"),
    "rules_engine.work.queues": ("register_drain",),
    "rules_engine.work.endings": ("Finished", "finish_many"),
    "rules_engine.errors": (
        "PermanentError",
        "Problem",
        "Refused",
        "RulesEngineError",
        "SettingsError",
        "TemplateError",
        "TransientError",
        "did_you_mean",
    ),
    "rules_engine.context.actor": ("acting_as", "paused"),
    "rules_engine.context.signals": ("register_signal",),
    "rules_engine.context.snapshot": ("plain",),
    "rules_engine.work.run": ("LeaseKeeper",),
    "rules_engine.work.lanes": (
        "LaneBacklog",
        "LaneFigures",
        "lane_backlog",
        "lane_counts",
        "lane_failures",
        "lane_figures",
        "lane_latest",
        "lane_troubles",
    ),
    "rules_engine.work.leases": ("claim_crashed", "claim_lanes", "due_lanes", "in_flight"),
    "rules_engine.outbox.direct": ("order",),
    "rules_engine.work.overview": ("Cell", "OverviewTable", "register_overview"),
    "rules_engine.work.replays": ("latest_replays", "replay"),
    "rules_engine.texts": ("render",),
    "rules_engine.types": ("ActionContext", "ActionResult", "Event", "FieldChange", "RuleSpec"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "ANYTHING",
    "Action",
    "ActionContext",
    "ActionResult",
    "Cell",
    "Claim",
    "Effect",
    "Event",
    "FieldChange",
    "Finished",
    "LaneBacklog",
    "LaneFigures",
    "LeaseKeeper",
    "OverviewTable",
    "PermanentError",
    "Preview",
    "Problem",
    "Refused",
    "Route",
    "RuleSpec",
    "RulesEngineError",
    "Selection",
    "SettingsError",
    "TemplateError",
    "TransientError",
    "acting_as",
    "cancel",
    "claim",
    "claim_crashed",
    "claim_lanes",
    "did_you_mean",
    "due_lanes",
    "evaluate",
    "finish",
    "finish_many",
    "in_flight",
    "lane_backlog",
    "lane_counts",
    "lane_failures",
    "lane_figures",
    "lane_latest",
    "lane_troubles",
    "latest_replays",
    "order",
    "paused",
    "plain",
    "problems",
    "reads",
    "register_action",
    "register_drain",
    "register_overview",
    "register_signal",
    "release",
    "render",
    "renew",
    "replay",
    "screen",
    "start",
    "start_many",
    "text",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)
