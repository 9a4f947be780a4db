"""What the engine writes is read here and not edited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows can be looked at by whoever has the view permission, and by nobody added, changed or deleted."""

    # Counting a large table costs more than the page is worth.
    show_full_result_count = False
    list_per_page = 50
    # So would counting it once for each choice of each filter.
    show_facets = admin.ShowFacets.NEVER

    class Media:
        css = {"all": ["rules_engine/admin.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
