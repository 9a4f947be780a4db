"""The further pages of a rule: to test it, to run it over what was recorded, to see how it was."""

from __future__ import annotations

from rules_engine.admin.flow.page import FlowMixin
from rules_engine.admin.kept.page import KeptTestsMixin
from rules_engine.admin.reading.history import HistoryMixin
from rules_engine.admin.runs.asking import RunMixin
from rules_engine.admin.test.backtest import BacktestMixin
from rules_engine.admin.test.rule_test import RuleTestMixin
from rules_engine.admin.test.shadow import ShadowMixin
from rules_engine.admin.times.page import TimesMixin
from rules_engine.admin.why.page import WhyMixin


class RulePagesMixin(
    RuleTestMixin,
    RunMixin,
    KeptTestsMixin,
    BacktestMixin,
    TimesMixin,
    WhyMixin,
    ShadowMixin,
    HistoryMixin,
    FlowMixin,
):
    """Adds them all to the admin of rules."""
