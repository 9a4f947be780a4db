"""The tests of a rule as a page shows them: what each expects, and in words how what came differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext

from rules_engine.admin.parts.objects import why_unseen
from rules_engine.admin.parts.rendering import json_block
from rules_engine.admin.parts.rule_page import TEST, unseen
from rules_engine.context.visible import visible
from rules_engine.models import Rule, RuleTest
from rules_engine.rules import registry
from rules_engine.rules.expected.differences import outcome_words, quoted, setting_title
from rules_engine.rules.permissions import may_view
from rules_engine.test.kept.running import Verdict, run
from rules_engine.types import RuleSpec, RuleTestSpec

#: Tests that a sentence names; of more it says how many.
MOST_NAMED = 3


def shown_tests(request: HttpRequest, rule: Rule) -> list[dict[str, Any]]:
    """Run the tests of the rule, and return each for the template. Whoever may not view a sample sees no more of the
    test than whether it passes."""
    spec = rule.spec()
    return [_shown(request, spec, test) for test in RuleTest.objects.filter(rule=rule).order_by("name")]


def _shown(request: HttpRequest, spec: RuleSpec, test: RuleTest) -> dict[str, Any]:
    verdict, why = run(spec, test.spec()), why_hidden(request, spec, test)
    shown = {"pk": test.pk, "name": test.name, "is_passed": verdict.is_passed, "why": why}
    if why:
        return shown
    return {
        **shown,
        "occurred_at": test.occurred_at,
        "differences": verdict.differences,
        "expected": list(_expected(test.expected)),
        "sample": json_block(test.context),
        "is_renewable": verdict.came is not None and verdict.came.outcome not in ("error", "not_recorded"),
    }


def why_hidden(request: HttpRequest, spec: RuleSpec, test: RuleTest) -> str:
    """Say why the user may not be shown the sample, nor change the test, as a sentence; empty where they may."""
    context = test.context if isinstance(test.context, dict) else {}
    if why := why_unseen(request, spec.model, test.object_pk, context):
        return why
    _seen, hidden = visible(context, spec.model, may_view(request.user))
    return gettext("You may not view all that its sample holds.") if hidden else ""


def _expected(expected: Any) -> Iterator[str]:
    """Yield what a test expects, a sentence for each thing."""
    if not isinstance(expected, dict) or not isinstance(expected.get("outcome"), str):
        yield gettext("What it expects cannot be read; edit it.")
        return
    yield gettext("Expected: %s.") % outcome_words(expected["outcome"], str(expected.get("gate") or ""))
    actions = expected.get("actions")
    for action in actions if isinstance(actions, list) else ():
        if isinstance(action, dict):
            yield _action(action)


def _action(action: dict[str, Any]) -> str:
    kind, settings = str(action.get("kind")), action.get("settings")
    pairs = settings.items() if isinstance(settings, dict) else ()
    told = "; ".join(f"{setting_title(kind, name)}: {quoted(value)}" for name, value in pairs)
    title = registry.title(kind)
    if isinstance(action.get("times"), int):
        title = gettext("%(action)s, %(times)s times") % {"action": title, "times": action["times"]}
    return f"{title} – {told}" if told else title


def failing_words(verdicts: list[Verdict]) -> str:
    """Return which of these tests fail, as a sentence that quotes nothing of their samples."""
    names = ", ".join(f"“{verdict.test.name}”" for verdict in verdicts[:MOST_NAMED])
    more = f" (+{len(verdicts) - MOST_NAMED})" if len(verdicts) > MOST_NAMED else ""
    return gettext("Tests that fail: %(names)s.") % {"names": f"{names}{more}"}


def tests_to_export(request: HttpRequest, specs: Sequence[RuleSpec]) -> dict[str, list[RuleTestSpec]]:
    """Return the tests that go along with these rules, by slug: those whose samples the user may be shown."""
    if not request.user.has_perm(TEST):
        return {}
    seen = {spec.slug: spec for spec in specs if not unseen(request.user, spec)}
    found: dict[str, list[RuleTestSpec]] = {}
    for test in RuleTest.objects.filter(rule__slug__in=seen).select_related("rule").order_by("rule", "name"):
        if not why_hidden(request, seen[test.rule.slug], test):
            found.setdefault(test.rule.slug, []).append(test.spec())
    return found


def tests_notice(request: HttpRequest, rule: Rule) -> dict[str, Any] | None:
    """Return what a rule's page says of its tests; None where there are none, or they are not for this user."""
    if not request.user.has_perm(TEST) or unseen(request.user, rule.spec()):
        return None
    spec = rule.spec()
    verdicts = [run(spec, test.spec()) for test in RuleTest.objects.filter(rule=rule)]
    failed = [verdict for verdict in verdicts if not verdict.is_passed]
    return {"count": len(verdicts), "failed": failing_words(failed) if failed else ""} if verdicts else None
