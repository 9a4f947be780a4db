"""A rule as one sentence: *When an order is updated and its status becomes Paid, only if total is more than 100, at
most once an hour per customer: send an email to the customer, then call Our chat.*"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext

from rules_engine.admin.parts.rendering import names_of
from rules_engine.admin.prose import timed
from rules_engine.admin.prose.condition import only_if
from rules_engine.admin.prose.doing import done
from rules_engine.admin.prose.holding import held_back
from rules_engine.admin.prose.marks import GAP, Part, Words, cut, words_of
from rules_engine.admin.prose.reader import Reader
from rules_engine.admin.prose.trigger import happens
from rules_engine.models import Rule, RuleAction
from rules_engine.surroundings.own_rules import is_changed_here
from rules_engine.types import ActionSpec, RuleSpec

MOST_ACTIONS = 8
TEXTS, NAMES = ("model", "throttle_by", "coalesce_by"), ("signals", "operations")
NUMBERS, MOMENTS = ("throttle_count", "throttle_seconds", "coalesce_seconds"), ("active_from", "active_until")


@dataclass(frozen=True, slots=True)
class Sentence:
    """The sentence: ``when`` it acts, what it does ``then``, and ``notes``, which are sentences of their own."""

    when: Words
    then: Words
    notes: tuple[str, ...] = ()

    @property
    def whole(self) -> Words:
        """All of it, as pieces in their order."""
        notes = [Part(f" {note}") for note in self.notes]
        colon, stop = Part(": "), Part(".")
        return Words((*self.when.parts, colon, *self.then.parts, stop, *notes))

    @property
    def has_gaps(self) -> bool:
        """Whether something is still to be filled in."""
        return self.whole.has_gaps

    @property
    def html(self) -> SafeString:
        """All of it, gaps marked."""
        return self.whole.html

    def __str__(self) -> str:
        return str(self.whole)


def sentence(
    rule: Rule | RuleSpec, actions: Sequence[RuleAction | ActionSpec] | None = None, *, reader: Reader | None = None
) -> Sentence:
    """Tell a rule, stored or just being written, to ``reader``; ``actions`` are those of a form, in their order.

    Never raises for what stands in a rule: what is missing is a gap, and what has no words is told as it is written.
    """
    spec = _spec(rule, actions)
    reader = reader or Reader()
    return Sentence(words_of(_when(spec)), words_of(_then(spec, reader)), tuple(_notes(spec)))


def _spec(rule: Rule | RuleSpec, actions: Sequence[RuleAction | ActionSpec] | None) -> RuleSpec:
    if actions is None:
        return typed(rule.spec() if isinstance(rule, Rule) else rule)
    specs = [action.spec() if isinstance(action, RuleAction) else action for action in actions]
    return typed(rule.spec_with(specs) if isinstance(rule, Rule) else replace(rule, actions=tuple(specs)))


def typed(rule: RuleSpec) -> RuleSpec:
    """The rule without values of a type that its field cannot have: a form, or a row written past it, may hold such."""
    given: dict[str, Any] = {name: _of(rule, name, str, "") for name in TEXTS}
    given |= {name: tuple(one for one in getattr(rule, name) if isinstance(one, str)) for name in NAMES}
    given |= {name: _of(rule, name, int, None) for name in NUMBERS}
    given |= {name: _of(rule, name, datetime, None) for name in MOMENTS}
    return replace(rule, **given, sample_percent=_of(rule, "sample_percent", int, 100))


def _of(rule: RuleSpec, name: str, kind: type, otherwise: Any) -> Any:
    value = getattr(rule, name)
    return value if isinstance(value, kind) and not isinstance(value, bool) else otherwise


def _when(rule: RuleSpec) -> str:
    if rule.schedule is not None:
        clauses = list(timed.clauses(rule, rule.schedule))
    else:
        clauses = [gettext("When %(happens)s") % {"happens": cut(happens(rule))}, only_if(rule)]
    return ", ".join([*filter(None, clauses), *map(cut, held_back(rule))])


def _then(rule: RuleSpec, reader: Reader) -> str:
    if not rule.actions:
        return gettext("do %(what)s") % {"what": GAP}
    shown = rule.actions[:MOST_ACTIONS]
    said = [done(action, rule, reader, is_last=action is rule.actions[-1]) for action in shown]
    if left := len(rule.actions) - len(shown):
        said.append(gettext("%(count)s more actions") % {"count": left})
    return gettext(", then ").join(said)


def _notes(rule: RuleSpec) -> Iterator[str]:
    if said := timed.late(rule.schedule):
        yield said
    if rule.stop_processing:
        yield gettext("Later rules are then not tried.")
    if rule.shadow:
        yield gettext("It only records what it would do.")


def sentence_for(rule: Rule, reader: Reader, draft: RuleSpec | None = None) -> Sentence:
    """The sentence as a page about one rule shows it: with whose rights the rule acts. ``draft`` is the
    rule as it stands in a form."""
    told = sentence(draft or (rule if rule.pk else rule.spec_with([])), reader=reader)
    note = _author_note(rule)
    return replace(told, notes=(*told.notes, note)) if note else told


def _author_note(rule: Rule) -> str:
    """Whose rights it acts with, as a sentence; empty where the operator installed it, or nobody knows the author."""
    is_known = rule.author_id is not None and is_changed_here(rule.surroundings)
    name = names_of([str(rule.author_id)]).get(str(rule.author_id)) if is_known else None
    return gettext("It may do what %(author)s may do.") % {"author": name} if name else ""
