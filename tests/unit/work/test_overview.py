"""What other apps add to the overview page."""

from __future__ import annotations

from typing import Any

import pytest

from rules_engine.work import overview
from rules_engine.work.overview import OverviewTable


@pytest.fixture(autouse=True)
def _no_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "_parts", {})


def _table(title: str) -> OverviewTable:
    return OverviewTable(title=title, headings=["Lane"], rows=[], nothing="None.")


def test_tables_come_in_the_order_in_which_apps_registered():
    overview.register_overview("b", lambda user: _table("second name, first here"))
    overview.register_overview("a", lambda user: _table("then this"))
    assert [table.title for table in overview.parts(None)] == ["second name, first here", "then this"]


def test_who_may_not_see_a_part_is_shown_the_others():
    def for_root(user: Any) -> OverviewTable | None:
        return _table("secret") if user == "root" else None

    overview.register_overview("secret", for_root)
    overview.register_overview("open", lambda user: _table("open"))
    assert [table.title for table in overview.parts("guest")] == ["open"]
    assert [table.title for table in overview.parts("root")] == ["secret", "open"]


def test_a_part_registered_twice_is_shown_once():
    overview.register_overview("part", lambda user: _table("old"))
    overview.register_overview("part", lambda user: _table("new"))
    assert [table.title for table in overview.parts(None)] == ["new"]
