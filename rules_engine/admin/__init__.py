"""The administrator's side: rules are written here, and what they did is read here."""

from rules_engine.admin.audit import AuditEntryAdmin
from rules_engine.admin.events import EventAdmin
from rules_engine.admin.executions import ExecutionAdmin
from rules_engine.admin.rules import RuleAdmin
from rules_engine.admin.versions import RuleVersionAdmin

__all__ = ["AuditEntryAdmin", "EventAdmin", "ExecutionAdmin", "RuleAdmin", "RuleVersionAdmin"]
