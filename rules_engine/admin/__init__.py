"""The administrator's side: rules are written here, and what they did is read here."""

from django.contrib import admin

from rules_engine.admin.pauses.pauses import PauseAdmin
from rules_engine.admin.reading.on_object import RulesOfObjectMixin
from rules_engine.admin.reading.versions import RuleVersionAdmin
from rules_engine.admin.records.activity import ActivityAdmin
from rules_engine.admin.records.audit import AuditEntryAdmin
from rules_engine.admin.records.events import EventAdmin
from rules_engine.admin.records.executions import ExecutionAdmin
from rules_engine.admin.records.held import HeldMatchAdmin
from rules_engine.admin.records.recordings import RecordingAdmin
from rules_engine.admin.rules.rule_admin import RuleAdmin
from rules_engine.admin.runs import choosing
from rules_engine.admin.runs.progress import RunAdmin

__all__ = [
    "ActivityAdmin",
    "AuditEntryAdmin",
    "EventAdmin",
    "ExecutionAdmin",
    "HeldMatchAdmin",
    "PauseAdmin",
    "RecordingAdmin",
    "RuleAdmin",
    "RuleVersionAdmin",
    "RulesOfObjectMixin",
    "RunAdmin",
]

choosing.offer(admin.site)
