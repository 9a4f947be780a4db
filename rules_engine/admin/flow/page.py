"""The pages that draw what sets off what: for one rule, the rules on a model, a pack, or all rules that are on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext

from rules_engine.admin.flow.drawing import svg
from rules_engine.admin.flow.graph import Box, Flow, flow_of, more_words
from rules_engine.admin.parts.labels import model_title
from rules_engine.admin.parts.rendering import page_url
from rules_engine.admin.parts.rule_page import page, rule_for
from rules_engine.admin.reading.enabled import enabled_rules
from rules_engine.models import Rule
from rules_engine.packs import checking, files
from rules_engine.packs.files import PackError
from rules_engine.rules.cascades import Cascades, analyse
from rules_engine.types import RuleSpec


@dataclass(frozen=True, slots=True)
class Asked:
    """The rules that a picture is of, what is known of them, and those that it begins with."""

    rules: Sequence[RuleSpec]
    cascades: Cascades
    begin: Sequence[str]
    title: str
    here: str = ""


class FlowMixin:
    """Adds the pages to the admin of rules, for those who may view rules."""

    def get_urls(self: Any) -> list[Any]:
        """The pages, before the admin's own addresses, whose last one takes any."""
        wrap = self.admin_site.admin_view
        return [
            path("flow/", wrap(self.flow_view), name="rules_engine_rules_flow"),
            path("<path:object_id>/flow/", wrap(self.rule_flow_view), name="rules_engine_rule_flow"),
            *super().get_urls(),  # type: ignore[misc]
        ]

    def flow_view(self: Any, request: HttpRequest) -> HttpResponseBase:
        """The picture of the rules on a model, of a pack, or of all rules that are on."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        label, pack = request.GET.get("model", "").lower(), request.GET.get("pack", "")
        packs = files.find()
        if pack and pack not in packs:
            raise Http404(gettext("There is no such pack."))
        try:
            asked, problem = (_of_pack(pack) if pack else _of_model(label)), ""
        except PackError as error:
            asked, problem = Asked([], analyse([]), [], pack), str(error)
        watched = sorted({spec.model.lower() for spec in enabled_rules().specs if spec.model})
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("What sets off what"),
            "subtitle": asked.title,
            "media": self.media,
            "problem": problem,
            "models": [(one, model_title(one)) for one in watched],
            "packs": list(packs),
            "label": label,
            "pack": pack,
            **drawn(asked),
        }
        return TemplateResponse(request, "admin/rules_engine/rule/flow.html", context)

    def rule_flow_view(self: Any, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """The picture of one rule: what sets it off, and what it sets off."""
        rule = rule_for(self, request, object_id, "")
        title = gettext("What sets off what")
        return page(self, request, rule, "flow.html", title, **drawn(_of_rule(rule)))


def _of_rule(rule: Rule) -> Asked:
    """The rule first, then those that set it off: they come before what it sets off where there is little room."""
    known = enabled_rules()
    specs, cascades = known.specs, known.cascades
    if rule.slug not in cascades.effects:
        specs = [*(spec for spec in specs if spec.slug != rule.slug), rule.spec()]
        cascades = analyse(specs)
    before = dict.fromkeys(link.source for link in cascades.set_off_by(rule.slug))
    return Asked(specs, _only_to(cascades, before, rule.slug), [rule.slug, *before], str(rule), rule.slug)


def _only_to(cascades: Cascades, before: Mapping[str, None], slug: str) -> Cascades:
    """What is known of the cascades, without what those before the rule set off besides it."""
    after = set(_after(cascades, slug))
    heard = {
        effect: tuple(one for one in hearers if one == slug or one in after)
        for effect, hearers in cascades.heard_by.items()
    }
    return Cascades(cascades.effects, heard)


def _after(cascades: Cascades, slug: str) -> dict[str, None]:
    seen = {slug: None}
    waiting = [slug]
    for one in waiting:
        new = dict.fromkeys(link.target for link in cascades.sets_off(one) if link.target not in seen)
        seen.update(new)
        waiting.extend(new)
    return seen


def _of_model(label: str) -> Asked:
    known = enabled_rules()
    begin = [spec.slug for spec in known.specs if not label or spec.model.lower() == label]
    if label:
        # Those that change it come along: they may be what sets off the rules on it.
        changing = {slug for slug, effects in known.cascades.effects.items() if _change(effects, label)}
        begin += [spec.slug for spec in known.specs if spec.slug in changing and spec.slug not in begin]
    return Asked(known.specs, known.cascades, begin, model_title(label) if label else gettext("all rules that are on"))


def _change(effects: Sequence[tuple[str, Any]], label: str) -> bool:
    return any(effect.model == label for _kind, effect in effects)


def _of_pack(name: str) -> Asked:
    """The rules of a pack as its file has them, installed or not. Raises ``PackError``."""
    rules = checking.check(files.read(files.locate(name))).rules
    return Asked(rules, analyse(rules), [rule.slug for rule in rules], gettext("the pack %s") % name)


def drawn(asked: Asked) -> dict[str, Any]:
    """For a template: the picture and the list of it. One query, for the addresses of rules."""
    flow = flow_of(asked.rules, asked.cascades, asked.begin, here=asked.here)
    slugs = [line.rule.slug for line in flow.lines]
    pages = {slug: page_url("rule", pk) for slug, pk in Rule.objects.filter(slug__in=slugs).values_list("slug", "pk")}
    return {
        "picture": svg(flow, _urls(flow, pages)) if flow.boxes else "",
        "lines": [{"line": line, "url": pages.get(line.rule.slug, "")} for line in flow.lines],
        "more": more_words(flow.more),
    }


def _urls(flow: Flow, pages: Mapping[str, str]) -> dict[str, str]:
    return {box.key: _url(box, pages) for box in flow.boxes}


def _url(box: Box, pages: Mapping[str, str]) -> str:
    """A rule's page; of a model, the picture of the rules on it."""
    if box.slug:
        return pages.get(box.slug, "")
    if not box.label:
        return ""
    return f"{reverse('admin:rules_engine_rules_flow')}?{urlencode({'model': box.label})}"
