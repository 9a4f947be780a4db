"""What can be done to several rules of the list at once: switching on and off, copies, and a pack to take along."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.urls import path, reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.kept.before_on import tests_fail_page
from rules_engine.admin.kept.verdicts import failing_words, tests_to_export
from rules_engine.admin.parts.rule_page import ENABLE, rule_for
from rules_engine.admin.reading.estimated import estimate_words
from rules_engine.models import Rule, RuleAction
from rules_engine.packs import writing
from rules_engine.rules.permissions import lacking, needed
from rules_engine.rules.validation import rule_problems
from rules_engine.surroundings.own_rules import made_here
from rules_engine.test.kept.running import failing

LONGEST_SLUG = 100


@dataclass(frozen=True, slots=True)
class Switched:
    """A state that a rule is put into: its columns, what its history says of it, and what whoever did it is told."""

    columns: Mapping[str, bool]
    noted: Any
    told: Any


ON_WORDS = _("Enabled."), _("%s is switched on.")
#: As it is, in shadow or not.
SWITCHED_ON = Switched({"enabled": True}, *ON_WORDS)
SWITCHED = {
    "off": Switched({"enabled": False}, _("Disabled."), _("%s is switched off.")),
    "shadow": Switched(
        {"enabled": True, "shadow": True},
        _("Enabled in shadow."),
        _("%s is in shadow: it is tried on real changes, and does nothing."),
    ),
    "on": Switched({"enabled": True, "shadow": False}, *ON_WORDS),
}


@admin.action(description=_("Enable selected rules"), permissions=["enable"])
def enable(model_admin: Any, request: HttpRequest, queryset: Any) -> None:
    """Switch rules on: those that can run, and that the user could have written."""
    chosen = [rule for rule in _with_actions(queryset) if not rule.enabled]
    _each(model_admin, request, chosen, _why_not_enable_unasked, _switch(model_admin, request, on=True))


@admin.action(description=_("Disable selected rules"), permissions=["enable"])
def disable(model_admin: Any, request: HttpRequest, queryset: Any) -> None:
    """Switch rules off; what already waits is cancelled by the workers when its turn comes."""
    chosen = [rule for rule in _with_actions(queryset) if rule.enabled]
    _each(model_admin, request, chosen, lambda _request, _rule: None, _switch(model_admin, request, on=False))


@admin.action(description=_("Duplicate selected rules"), permissions=["add"])
def duplicate(model_admin: Any, request: HttpRequest, queryset: Any) -> None:
    """Copy rules with their actions, switched off, as rules of the user's own."""

    def copy(rule: Rule) -> None:
        made = _copy(rule, request.user)
        model_admin.log_addition(request, made, gettext("A copy of %s.") % rule.slug)

    _each(model_admin, request, _with_actions(queryset), _why_not_own, copy)


@admin.action(description=_("Export selected rules as a pack"), permissions=["view"])
def export(model_admin: Any, request: HttpRequest, queryset: Any) -> HttpResponse:
    """The rules as a file that ``rulepack install`` takes, without anything that looks like a secret."""
    chosen = Rule.objects.filter(pk__in=list(queryset.order_by().values_list("pk", flat=True)))
    specs = chosen.specs()
    text = writing.text((writing.without_secrets(spec)[0] for spec in specs), tests_to_export(request, specs))
    headers = {"Content-Disposition": 'attachment; filename="rules.json"', "X-Content-Type-Options": "nosniff"}
    return HttpResponse(text, content_type="application/json", headers=headers)


class SwitchingMixin:
    """Adds the switch of a rule's page: off, in shadow or on, by POST, by whoever may enable rules."""

    def get_urls(self: Any) -> list[Any]:
        """Its addresses, before the admin's own, whose last one takes any."""
        wrap = self.admin_site.admin_view
        return [
            path("<path:object_id>/switch/", wrap(self.switch_view), name="rules_engine_rule_switch"),
            path("<path:object_id>/switch-on/", wrap(self.switch_on_view), name="rules_engine_rule_switch_on"),
            *super().get_urls(),  # type: ignore[misc]
        ]

    def switch_view(self: Any, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Put it into the state that ``to`` names."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        wanted = SWITCHED.get(request.POST.get("to", ""))
        return _switched(self, request, object_id, wanted) if wanted else HttpResponseBadRequest()

    def switch_on_view(self: Any, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Switch it on as it is, in shadow or not."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        return _switched(self, request, object_id, SWITCHED_ON)


def _switched(model_admin: Any, request: HttpRequest, object_id: str, wanted: Switched) -> HttpResponseBase:
    rule = rule_for(model_admin, request, object_id, ENABLE)
    if wanted.columns["enabled"] and (why := _why_not_enable(request, rule)):
        model_admin.message_user(request, why, messages.ERROR)
    elif any(getattr(rule, name) != value for name, value in wanted.columns.items()):
        failed = failing(rule.spec()) if _will_act(rule, wanted) else []
        if failed and "all_the_same" not in request.POST:
            return tests_fail_page(model_admin, request, rule, failed)
        _put(model_admin, request, rule, wanted, although=failing_words(failed) if failed else "")
        expected = estimate_words(request, rule) if _will_act(rule, wanted) else ""
        model_admin.message_user(request, f"{wanted.told % rule} {expected}".strip(), messages.SUCCESS)
    return HttpResponseRedirect(reverse("admin:rules_engine_rule_change", args=[rule.pk]))


def _with_actions(queryset: Any) -> list[Rule]:
    return list(queryset.select_related("author").prefetch_related("actions"))


def _switch(model_admin: Any, request: HttpRequest, *, on: bool) -> Callable[[Rule], None]:
    wanted = SWITCHED_ON if on else SWITCHED["off"]
    return lambda rule: _put(model_admin, request, rule, wanted)


def _will_act(rule: Rule, wanted: Switched) -> bool:
    """Say whether the rule begins to act: one that is in shadow, or off, does nothing."""
    after = {"enabled": rule.enabled, "shadow": rule.shadow, **wanted.columns}
    return bool(after["enabled"] and not after["shadow"])


def _put(model_admin: Any, request: HttpRequest, rule: Rule, wanted: Switched, *, although: str = "") -> None:
    for name, value in wanted.columns.items():
        setattr(rule, name, value)
    # One by one: processes learn of a change by its signal.
    rule.save(update_fields=[*wanted.columns, "updated_at"])
    model_admin.log_change(request, rule, f"{wanted.noted} {although}".strip())


def _each(
    model_admin: Any,
    request: HttpRequest,
    rules: list[Rule],
    why_not: Callable[[HttpRequest, Rule], str | None],
    do: Callable[[Rule], None],
) -> None:
    done = 0
    with transaction.atomic():
        for rule in rules:
            reason = why_not(request, rule)
            if reason is None:
                do(rule)
                done += 1
            else:
                model_admin.message_user(request, f"{rule}: {reason}", messages.ERROR)
    text = ngettext("%(count)s rule was changed.", "%(count)s rules were changed.", done) % {"count": done}
    if not done and not rules:
        text = gettext("Nothing was changed: all of them are so already.")
    if done or not rules:
        model_admin.message_user(request, text, messages.SUCCESS if done else messages.INFO)


def _why_not_own(request: HttpRequest, rule: Rule) -> str | None:
    missing = lacking(request.user, needed(rule.spec()))
    return gettext("you lack the permission %s.") % ", ".join(missing) if missing else None


def _why_not_enable_unasked(request: HttpRequest, rule: Rule) -> str | None:
    """Of several at once none whose tests fail is switched on: its own page asks."""
    if why := _why_not_enable(request, rule):
        return why
    failed = failing(rule.spec())
    text = gettext("%(tests)s Its own page switches it on all the same.")
    return text % {"tests": failing_words(failed)} if failed else None


def _why_not_enable(request: HttpRequest, rule: Rule) -> str | None:
    problems = rule_problems(rule.spec())
    return str(problems[0]) if problems else _why_not_own(request, rule)


def _copy(rule: Rule, author: Any) -> Rule:
    actions = list(rule.actions.all())
    made = Rule(**{field.attname: getattr(rule, field.attname) for field in Rule._meta.concrete_fields})
    made.pk, made.slug, made.author, made.enabled = None, _free_slug(rule.slug), author, False
    made.surroundings = made_here()
    made.name = (gettext("%s (copy)") % rule.name)[:200]
    made.save(force_insert=True)
    columns = [field.attname for field in RuleAction._meta.concrete_fields if field.name not in ("id", "rule")]
    for action in actions:
        RuleAction.objects.create(rule=made, **{name: getattr(action, name) for name in columns})
    return made


def _free_slug(slug: str) -> str:
    number = 1
    while True:
        ending = "-copy" if number == 1 else f"-copy-{number}"
        candidate = slug[: LONGEST_SLUG - len(ending)] + ending
        if not Rule.objects.filter(slug=candidate).exists():
            return candidate
        number += 1
