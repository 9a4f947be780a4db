"""The administrator's side: rules are written here, and what they did is read here."""

from rules_engine.admin.audit import AuditEntryAdmin
from rules_engine.admin.events import EventAdmin
from rules_engine.admin.executions import ExecutionAdmin
from rules_engine.admin.held import HeldMatchAdmin
from rules_engine.admin.on_object import RulesOfObjectMixin
from rules_engine.admin.pauses import PauseAdmin
from rules_engine.admin.recordings import RecordingAdmin
from rules_engine.admin.rules import RuleAdmin
from rules_engine.admin.versions import RuleVersionAdmin

__all__ = [
    "AuditEntryAdmin",
    "EventAdmin",
    "ExecutionAdmin",
    "HeldMatchAdmin",
    "PauseAdmin",
    "RecordingAdmin",
    "RuleAdmin",
    "RuleVersionAdmin",
    "RulesOfObjectMixin",
]
