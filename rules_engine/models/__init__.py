"""The engine's tables. Rows written while a caller saves carry no constraint to rules, users or endpoints:
deferred constraints escape savepoints and would fail the caller's COMMIT."""

from rules_engine.models.audit import AuditEntry, AuditSeal
from rules_engine.models.breakers.failures import RuleFailures, Trouble
from rules_engine.models.captures.captured import CapturedChange, InstalledTrigger
from rules_engine.models.event import Event, LargeChange, RuleError
from rules_engine.models.execution import Attempt, Execution
from rules_engine.models.heartbeat import Heartbeat
from rules_engine.models.held import Activity, HeldMatch
from rules_engine.models.mail_hour import MailHour
from rules_engine.models.pause import Pause
from rules_engine.models.recording import Recording
from rules_engine.models.reservation import Reservation
from rules_engine.models.rule import Rule, RuleAction, RuleVersion
from rules_engine.models.rule_set import RuleSetChange, RuleSetVersion
from rules_engine.models.schedules.armed import Armed
from rules_engine.models.schedules.run import Run
from rules_engine.models.schedules.schedule import Firing, Schedule
from rules_engine.models.tallies.tally import Tally
from rules_engine.models.tested.rule_test import RuleTest

__all__ = [
    "Activity",
    "Armed",
    "Attempt",
    "AuditEntry",
    "AuditSeal",
    "CapturedChange",
    "Event",
    "Execution",
    "Firing",
    "Heartbeat",
    "HeldMatch",
    "InstalledTrigger",
    "LargeChange",
    "MailHour",
    "Pause",
    "Recording",
    "Reservation",
    "Rule",
    "RuleAction",
    "RuleError",
    "RuleFailures",
    "RuleSetChange",
    "RuleSetVersion",
    "RuleTest",
    "RuleVersion",
    "Run",
    "Schedule",
    "Tally",
    "Trouble",
]
