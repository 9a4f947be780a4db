"""The further pages of a rule: to test it, to run it over what was recorded, to see how it was."""

from __future__ import annotations

from rules_engine.admin.backtest import BacktestMixin
from rules_engine.admin.history import HistoryMixin
from rules_engine.admin.shadow import ShadowMixin
from rules_engine.admin.trying import TryingMixin
from rules_engine.admin.why import WhyMixin


class RulePagesMixin(TryingMixin, BacktestMixin, WhyMixin, ShadowMixin, HistoryMixin):
    """Adds them all to the admin of rules."""
