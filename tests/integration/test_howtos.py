"""The how-tos do what they say: their examples run as they stand in the pages, and what they import is there."""

from __future__ import annotations

import ast
import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from rules_engine import conf
from rules_engine.logic import jsonlogic
from rules_engine.models import Rule
from rules_engine.testing import create_rule

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def howto(name: str) -> Path:
    return ROOT / "docs" / "howto" / f"{name}.md"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_the_pages_import_of_us_is_there(path: Path):
    for block in blocks(path, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in ("rules_engine", "webhooks"):
                module = import_module(str(node.module))
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


@pytest.mark.django_db(transaction=True)
def test_the_example_of_a_test_passes():
    names: dict[str, Any] = {}
    exec(blocks(howto("testing-rules"), "python")[0], names)
    names["test_a_paid_order_is_confirmed"]()


@pytest.mark.django_db
@pytest.mark.parametrize("block", [one for one in blocks(howto("holding-back"), "json") if '"subject"' not in one])
def test_each_way_of_holding_back_is_one_that_a_rule_may_have(block: str):
    fields = {name: Rule._meta.get_field(name).to_python(value) for name, value in json.loads(block).items()}
    about: dict[str, Any] = {"signals": ["user_login_failed"]} if "{{ signal." in block else {"model": "shop.order"}
    rule = create_rule(**about, actions=[("log_message", {"message": "Held"})], **fields)
    rule.refresh_from_db()
    rule.full_clean()


def test_the_setting_for_signals_is_one_that_is_understood():
    names: dict[str, Any] = {}
    exec(blocks(howto("own-signal"), "python")[2], names)
    with override_settings(RULES_ENGINE=names["RULES_ENGINE"]):
        assert set(conf.signals()) == {"shop.order_paid", "shop.order_shipped"}
        assert conf.problems() == []


def test_the_condition_in_python_is_one_that_can_be_checked():
    names: dict[str, Any] = {}
    exec(blocks(howto("packs"), "python")[0], names)
    assert jsonlogic.check(names["condition"]) == []
