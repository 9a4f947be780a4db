"""What the engine writes is read here and not edited."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from rules_engine.admin.parts.guarding import GuardedAdmin


class ReadOnlyAdmin(GuardedAdmin):
    """Rows can be looked at by whoever has the view permission, and by nobody added, changed or deleted."""

    # Counting a large table costs more than the page is worth.
    show_full_result_count = False
    list_per_page = 50
    # So would counting it once for each choice of each filter.
    show_facets = admin.ShowFacets.NEVER
    #: Columns by which links of ours narrow the list, besides its filters.
    narrowed_by: Collection[str] = ()

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        # Django lets every column be asked for in the address: what somebody may not see could be guessed bit by bit.
        is_narrowing = lookup in self._filters() or lookup.partition("__")[0] in set(self._narrowing())
        return is_narrowing and super().lookup_allowed(lookup, value, request)

    def _filters(self) -> set[str]:
        """What filters of ours read of the address: that, and no part or comparison of the column of that name."""
        return {getattr(entry, "parameter_name", "") for entry in self.list_filter}

    def _narrowing(self) -> Iterator[str]:
        yield from self.narrowed_by
        yield from filter(None, [self.date_hierarchy])
        for entry in self.list_filter:
            named = entry[0] if isinstance(entry, list | tuple) else entry
            if isinstance(named, str):
                yield named.partition("__")[0]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
