"""What keeps a rule on time from being looked after in a place, put on record for it once."""

from __future__ import annotations

from rules_engine.live import cache
from rules_engine.models import RuleError, Schedule
from rules_engine.surroundings.state import shown


def is_news(row: Schedule, error: str) -> bool:
    """Say whether the log is to tell of it: of many places that stay in trouble it does so once each, and not each
    minute."""
    return not row.surroundings or row.error != error


def tell_error(row: Schedule, error: str) -> None:
    """Put on record why the rule is not looked after there, unless the schedule, as it was read, says so already."""
    if row.error != error:
        rule = cache.current().find(row.rule_slug)
        version = 0 if rule is None else rule.version
        place = shown(row.surroundings)
        message = f"In {place}: {error}" if place and place not in error else error
        RuleError.objects.using(cache.alias()).create(rule_slug=row.rule_slug, rule_version=version, message=message)
