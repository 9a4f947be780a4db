"""A condition as prose: ``total is more than 100 and (status is Paid or customer is empty)``.

What stands together is in brackets, so that there is one way to read it. What has no words is told as it is written.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.conditions.sentences import MANY, Range, Test, call_of, group_of, name_of, test_of
from rules_engine.admin.parts.labels import OPERATION_WORDS
from rules_engine.admin.prose import marks
from rules_engine.admin.prose.comparisons import clause
from rules_engine.admin.prose.marks import code, is_too_deep
from rules_engine.admin.prose.names import Names, field_phrase
from rules_engine.admin.prose.values import relative, value
from rules_engine.types import RuleSpec

#: Groups within groups, further than anybody can follow them in a sentence.
DEEPEST_GROUP = 4
MOST_IN_A_GROUP = 8
#: Stands for a condition that is just being typed.
UNREADABLE = ""
_DONE = {
    **dict.fromkeys(("is", "same", "one_of"), _("it was %(operations)s")),
    **dict.fromkeys(("is_not", "not_same", "not_one_of"), _("it was not %(operations)s")),
}


def asked(rule: RuleSpec) -> str:
    """The condition of a rule, marked and not too long; empty where it has none, a gap while it is being typed."""
    if rule.condition is None:
        return ""
    return marks.GAP if rule.condition == UNREADABLE else marks.cut(prose(rule.condition, Titles.of(rule.model)))


def only_if(rule: RuleSpec) -> str:
    """The condition of a rule as a clause of its sentence, marked; empty where it has none."""
    condition = asked(rule)
    return gettext("only if %(condition)s") % {"condition": condition} if condition else ""


def prose(logic: Any, titles: Titles, depth: int = 0) -> str:
    """The condition as a clause, marked."""
    if is_too_deep(logic):
        return code(logic)
    return _prose(logic, titles, depth, is_alone=depth == 0)


def _prose(logic: Any, titles: Titles, depth: int, *, is_alone: bool) -> str:
    if depth > DEEPEST_GROUP:
        return code(logic)
    if (said := _about_the_object(logic)) or (test := test_of(logic)) is None:
        return said or _many(logic, titles, depth) or _group(logic, titles, depth, is_alone=is_alone) or code(logic)
    return _compared(test, titles, is_alone=is_alone)


def _about_the_object(logic: Any) -> str:
    """Whether it is new, and what was done to it, which have words of their own."""
    operator, arguments = call_of(logic)
    test = test_of(logic)
    if test is not None and test.name == "event.operation" and (pattern := _DONE.get(test.op)):
        given = test.right if isinstance(test.right, list) else [test.right]
        return str(pattern) % {
            "operations": marks.any_of(str(OPERATION_WORDS.get(str(one)) or marks.shown(one)) for one in given)
        }
    if name_of(logic) == "created" or (operator == "!!" and len(arguments) == 1 and name_of(arguments[0]) == "created"):
        return gettext("it is new")
    return gettext("it is not new") if operator == "!" and arguments and name_of(arguments[0]) == "created" else ""


def _compared(test: Test, titles: Titles, *, is_alone: bool) -> str:
    kind, is_old = titles.kind(test.name), test.name.startswith("old.")
    pattern = clause(test.op, kind, before=is_old)
    field = field_phrase(titles, test.name)
    if isinstance(test.right, Range):
        return pattern % {
            "field": field,
            "low": _operand(test.right.low, test.name, titles),
            "high": _operand(test.right.high, test.name, titles),
        }
    if isinstance(test.right, list):
        values = marks.any_of(_operand(one, test.name, titles) for one in test.right)
        return pattern % {"field": field, "value": values if is_alone or len(test.right) < 2 else f"({values})"}
    return pattern % {"field": field, "value": "" if test.is_bare else _operand(test.right, test.name, titles)}


def _operand(logic: Any, name: str, titles: Titles) -> str:
    return relative(logic) or value(titles, name, logic, Names(titles))


def _many(logic: Any, titles: Titles, depth: int) -> str:
    operator, arguments = call_of(logic)
    if operator not in MANY or len(arguments) != 2 or not (name := name_of(arguments[0])):
        return ""
    pattern = {
        "some": gettext("for at least one of the %(rows)s %(clause)s"),
        "all": gettext("for each of the %(rows)s %(clause)s"),
        "none": gettext("for none of the %(rows)s %(clause)s"),
    }[operator]
    inner = _prose(arguments[1], titles.of_rows(name), depth + 1, is_alone=False)
    return pattern % {"rows": field_phrase(titles, name), "clause": inner}


def _group(logic: Any, titles: Titles, depth: int, *, is_alone: bool) -> str:
    found = next(group_of(logic), None)
    if found is None:
        return ""
    kind, items = found
    if kind in ("none", "not_all"):
        return _negated(kind, items, titles, depth)
    joined = _joined(kind, _flat(kind, items), titles, depth)
    return joined if is_alone or len(items) < 2 else f"({joined})"


def _negated(kind: str, items: list[Any], titles: Titles, depth: int) -> str:
    inner = "any" if kind == "none" else "all"
    joined = _joined(inner, _flat(inner, items), titles, depth)
    return gettext("not (%(clause)s)") % {"clause": joined}


def _joined(kind: str, items: list[Any], titles: Titles, depth: int) -> str:
    said = [_item(kind, item, titles, depth + 1) for item in items[: MOST_IN_A_GROUP + 1]]
    if (left := len(items) - MOST_IN_A_GROUP) > 1:
        said[MOST_IN_A_GROUP:] = [gettext("%(count)s more conditions") % {"count": left}]
    if not said:
        return marks.GAP
    return (marks.all_of if kind == "all" else marks.any_of)(said, most=len(said))


def _item(kind: str, item: Any, titles: Titles, depth: int) -> str:
    # Among what is joined by "or", several values that are joined by it need no brackets.
    is_alone = kind == "any" and (test := test_of(item)) is not None and test.op == "one_of"
    return _prose(item, titles, depth, is_alone=is_alone)


def _flat(kind: str, items: list[Any]) -> list[Any]:
    """The items of a group, with those of groups of its own kind in it."""
    flat: list[Any] = []
    for item in items:
        inner = next(group_of(item), None)
        flat += _flat(kind, inner[1]) if inner is not None and inner[0] == kind else [item]
    return flat
