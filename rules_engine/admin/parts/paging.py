"""Pages of long lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.paginator import Page, Paginator

if TYPE_CHECKING:
    _Paginator = Paginator[Any]
else:
    _Paginator = Paginator


class KeysFirstPaginator(_Paginator):
    """Finds out by the keys alone which rows are on a page: what is skipped is neither joined nor sorted in full."""

    def page(self, number: int | str) -> Page[Any]:
        """Django's, with the rows asked for by their keys."""
        rows: Any = self.object_list
        page: Any = super().page(number)
        page.object_list = rows.filter(pk__in=list(page.object_list.values_list("pk", flat=True)))
        return page  # type: ignore[no-any-return]
