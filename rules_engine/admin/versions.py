"""What rules said when they ran."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.readonly import ReadOnlyAdmin
from rules_engine.admin.rendering import json_block
from rules_engine.models import RuleVersion


@admin.register(RuleVersion)
class RuleVersionAdmin(ReadOnlyAdmin):
    """The forms a rule has had."""

    list_display = ("rule_slug", "number", "author_id", "created_at")
    list_display_links = ("rule_slug", "number")
    search_fields = ("rule_slug",)
    date_hierarchy = "created_at"
    fields = ("rule_slug", "number", "author_id", "created_at", "content_shown")
    readonly_fields = ("content_shown",)

    @admin.display(description=_("content"))
    def content_shown(self, version: RuleVersion) -> SafeString:
        return json_block(version.content)
