"""Rules on time that hold in all surroundings, and are looked after where workers begin alone: nothing lists others."""

from __future__ import annotations

from collections.abc import Iterable

from rules_engine.context.paths import find_model
from rules_engine.rules.schedules.kinds import kind_of
from rules_engine.surroundings.listed import places_of
from rules_engine.surroundings.state import NAME, functions
from rules_engine.types import RuleSpec, Unread, ask

#: Rules that are named.
NAMED = 5


def unlisted(rules: Iterable[RuleSpec]) -> list[tuple[str, str]]:
    """Return what is to be said of rules that are not looked after in all surroundings in which they hold, with what to
    do. The site is asked for its list."""
    of_all = [
        rule
        for rule in rules
        if rule.model and not rule.surroundings and (kind := kind_of(rule.schedule)) is not None and kind.is_by_clock
    ]
    if not of_all or (said := functions()) is None:
        return []
    if said.every is None:
        return [_looked_for_at_home([rule.slug for rule in of_all])]
    return [
        (
            f"{NAME}: the surroundings of {label} could not be listed ({listed.error}), so rules on time stay in "
            "those that were listed last.",
            'Have the function that "every" names return them for this model.',
        )
        for label in sorted({rule.model for rule in of_all})
        if isinstance(listed := ask(places_of, find_model(label)), Unread)
    ]


def _looked_for_at_home(slugs: list[str]) -> tuple[str, str]:
    more = f" and {len(slugs) - NAMED} more" if len(slugs) > NAMED else ""
    message = (
        f"Rules on time hold in all surroundings, and look for objects where workers begin alone, since {NAME} lists "
        f"no others: {', '.join(slugs[:NAMED])}{more}."
    )
    return message, 'Name a function as "every", such as "rules_engine.surroundings.tenants.every".'
