"""A decision in parts, one a rule: where it cannot be written as a whole, one rule's part is no matter of others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.db import InterfaceError, OperationalError
from django.utils.translation import gettext

from rules_engine.capture import decision as decision_module
from rules_engine.capture.decision import Decision
from rules_engine.context import snapshot
from rules_engine.errors import ChangeUndone, Rejected
from rules_engine.live import faults
from rules_engine.outbox.batch import cut
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import EVERY_FIELD, Event, Unread, ask, new_id

#: What the database raises whoever asks: it is gone, locked or full. To try again would hold up the save.
OF_ALL = (OperationalError, InterfaceError)


def write_together(decisions: Sequence[Decision], using: str, rule_set: int | None) -> bool:
    """Write many decisions by few statements. Says whether that was possible; where it is not, nothing is written, and
    each can be tried by itself. Raises what ``decision.write`` raises where nothing can be stored just now."""
    written = ask(decision_module.write_together, decisions, using, rule_set)
    if not isinstance(written, Unread):
        return True
    if isinstance(written.error, OF_ALL):
        raise written.error
    kind = ("together", type(written.error).__name__)
    faults.of_process.log(kind, written.error, "What one change led to is written event by event.")
    return False


def write_apart(decision: Decision, error: Exception, using: str, rule_set: int | None) -> None:
    """Write what the decision says of each rule by itself, after it could not be written as a whole for ``error``, and
    of which rules that failed too.

    Raises what ``decision.write`` raises where nothing can be stored just now, whosever it is.
    """
    name = decision.event.model or decision.event.signal
    message = "What an event of %s led to is written rule by rule."
    faults.of_process.log(("apart", name, type(error).__name__), error, message, name)
    lost: dict[str, Exception] = {}
    for part in parts_of(decision):
        written = ask(decision_module.write, part, using, rule_set)
        if isinstance(written, Unread):
            if isinstance(written.error, (Rejected, ChangeUndone, *OF_ALL)):
                raise written.error
            lost[part.matched[0].slug] = written.error
    rest = rest_of(decision, lost)
    if rest.evaluations or rest.ended:
        decision_module.write(rest, using, rule_set)


def parts_of(decision: Decision) -> Iterator[Decision]:
    """Yield what the decision says of each rule that matched, as an event of its own with what this rule reads."""
    for rule in decision.matched:
        yield replace(
            decision,
            event=_event_for(rule, decision.event),
            evaluations=[said for said in decision.evaluations if said.rule_slug == rule.slug],
            matched=(rule,),
            ended=[end for end in decision.ended if end.rule.slug == rule.slug],
        )


def rest_of(decision: Decision, lost: Mapping[str, Exception]) -> Decision:
    """Return what it says of all other rules, and of the ``lost`` ones that theirs could not be stored. Of the
    event it holds no more than where and when it was."""
    matched = {rule.slug: rule for rule in decision.matched}
    evaluations = [said for said in decision.evaluations if said.rule_slug not in matched]
    for slug, error in lost.items():
        message = gettext("What it matched could not be stored (%s).") % type(error).__name__
        evaluations.append(cut(matched[slug], message))
    ended = [end for end in decision.ended if end.rule.slug not in matched]
    event = decision.event._replace(context={"event": decision.event.context.get("event")})
    return replace(decision, event=event, evaluations=evaluations, matched=(), ended=ended, rows=None)


def _event_for(rule: CompiledRule, event: Event) -> Event:
    tree = snapshot.tree_of(rule.reads | rule.action_reads)
    read = {name: _only(value, tree.get(name)) for name, value in event.context.items()}
    event_id = new_id()
    return event._replace(id=event_id, context={**read, "event": {**(read.get("event") or {}), "id": str(event_id)}})


def _only(value: Any, tree: snapshot.Tree | None) -> Any:
    """Return of a value what the tree asks for; an empty tree asks for all of it, and none for nothing."""
    if tree is None:
        return None
    if isinstance(value, list):
        return [_only(item, {name: below for name, below in tree.items() if not name.isdigit()}) for item in value]
    if not tree or EVERY_FIELD in tree or not isinstance(value, Mapping):
        return value
    return {name: _only(item, tree.get(name, {})) for name, item in value.items() if name in tree or name == "pk"}
