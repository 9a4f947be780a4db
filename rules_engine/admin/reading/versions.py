"""What rules said when they ran."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.parts.readonly import ReadOnlyAdmin
from rules_engine.admin.parts.rendering import json_block, names_of
from rules_engine.admin.reading.differences import spec_of
from rules_engine.admin.reading.sentence import sentence
from rules_engine.models import Rule, RuleVersion
from rules_engine.surroundings import own_rules


@admin.register(RuleVersion)
class RuleVersionAdmin(ReadOnlyAdmin):
    """The forms a rule has had."""

    list_display = ("rule_slug", "number", "author_shown", "created_at")
    list_display_links = ("rule_slug", "number")
    search_fields = ("rule_slug",)
    date_hierarchy = "created_at"
    fields = ("rule_slug", "number", "author_shown", "created_at", "sentence_shown", "content_shown")
    readonly_fields = ("author_shown", "sentence_shown", "content_shown")

    def get_queryset(self, request: HttpRequest) -> Any:
        """Django's; of rules of these surroundings alone where these have their own."""
        rows = super().get_queryset(request)
        own = Rule.objects.seen_here().values("slug")
        return rows.filter(rule_slug__in=own) if own_rules.are_kept_here() else rows

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Django's, with what the authors of the page are called."""
        changelist: Any = super().get_changelist_instance(request)
        names = names_of(row.author_id for row in changelist.result_list)
        for version in changelist.result_list:
            version.author_name = names.get(version.author_id, version.author_id)
        return changelist

    @admin.display(description=_("author"), ordering="author_id")
    def author_shown(self, version: Any) -> str:
        key = version.author_id
        return getattr(version, "author_name", None) or names_of([key]).get(key, key) or "–"

    @admin.display(description=_("In words"))
    def sentence_shown(self, version: RuleVersion) -> SafeString:
        return sentence(spec_of(version.content, slug=version.rule_slug)).html

    @admin.display(description=_("content"))
    def content_shown(self, version: RuleVersion) -> SafeString:
        return format_html(
            "<details><summary>{}</summary>{}</details>", gettext("As JSON"), json_block(version.content)
        )
