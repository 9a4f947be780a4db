"""What ``rulepack`` says where packs are odd, in the way, or not there; what they install is told in test_packs.py."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from rules_engine.models import Rule, RuleTest
from rules_engine.packs import files, installing
from rules_engine.packs.files import MAX_PACK_BYTES
from rules_engine.testing import create_rule
from rules_engine.types import RuleSpec, RuleTestSpec

pytestmark = pytest.mark.django_db


def rule(slug: str = "a-rule", **fields: Any) -> dict[str, Any]:
    given = {"slug": slug, "name": "A rule", "model": "shop.order", "signals": ["post_save"], **fields}
    return {"model": "rules_engine.rule", "fields": given}


def action(slug: str = "a-rule", **fields: Any) -> dict[str, Any]:
    given = {"rule": [slug], "kind": "log_message", "config": {"message": "x"}, **fields}
    return {"model": "rules_engine.ruleaction", "fields": given}


def kept_test(slug: str = "a-rule", outcome: str = "acts", **fields: Any) -> dict[str, Any]:
    given = {
        "rule": [slug],
        "name": "As it is",
        "signal": "post_save",
        "operation": "create",
        "occurred_at": "2031-05-06T10:30:00Z",
        "context": {"instance": {"pk": 1}},
        "expected": {"outcome": outcome},
        **fields,
    }
    return {"model": "rules_engine.ruletest", "fields": given}


@pytest.fixture
def fixtures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which packs are looked for."""
    monkeypatch.setattr(files, "folders", lambda: iter([tmp_path]))
    return tmp_path


def write(folder: Path, *objects: Any, name: str = "some", text: str | None = None) -> str:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(objects) if text is None else text, encoding="utf-8")
    return str(path)


def told(*command: str) -> str:
    out = io.StringIO()
    call_command("rulepack", *command, stdout=out, stderr=out)
    return out.getvalue()


def refused(*command: str) -> tuple[str, str]:
    """What the command ends with, and what it said before."""
    out = io.StringIO()
    with pytest.raises(CommandError) as ended:
        call_command("rulepack", *command, stdout=out, stderr=out)
    return str(ended.value), out.getvalue()


# Lists


def test_where_there_are_no_packs_that_is_said(fixtures: Path) -> None:
    assert told("list") == "There are no packs: no fixtures folder holds a file with rules.\n"
    assert refused("check", "shop")[0] == 'There is no rule pack "shop". There is no pack here at all.'


def test_a_list_says_of_each_file_whether_it_can_be_used(fixtures: Path) -> None:
    write(fixtures, rule(), action(), name="well")
    write(fixtures, rule(), rule(), name="twice")
    write(fixtures, text='[{"model": "rules_engine.rule", ]', name="broken")
    write(fixtures, text='"rules_engine.rule"' + " " * MAX_PACK_BYTES, name="large")
    write(fixtures, {"model": "auth.group"}, name="other")
    (fixtures / "folder.json").mkdir()
    lines = told("list").splitlines()
    assert lines[0].startswith("broken: This is not JSON (line 1, column 33)")
    assert lines[1].startswith("twice: 1 problem; rulepack check says which (")
    assert lines[2].startswith("well: 1 rule, 0 installed, 0 of them as in the pack (")
    assert len(lines) == 4
    assert lines[3].startswith('"rulepack check broken" says what is in one')


def test_a_list_counts_what_is_here_and_as_in_the_pack(fixtures: Path) -> None:
    path = write(fixtures, rule("a"), rule("b"), rule("c"))
    told("install", path)
    Rule.objects.filter(slug="a").update(name="Edited")
    Rule.objects.filter(slug="c").delete()
    assert told("list").startswith("some: 3 rules, 2 installed, 1 of them as in the pack (")


# Checks


def test_a_check_leads_on_to_the_install_and_then_says_that_it_is_done(fixtures: Path) -> None:
    path = write(fixtures, rule(), action())
    assert f'"rulepack install {path}" installs it; --dry-run says what would change.' in told("check", path)
    told("install", path)
    assert "It is installed here, and as in the pack." in told("check", path)


def test_before_the_first_migrate_a_pack_is_checked_all_the_same(
    fixtures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_tables(rules: Any, **_: Any) -> Any:
        raise DatabaseError("no such table")

    monkeypatch.setattr(installing, "plan", no_tables)
    said = told("check", write(fixtures, rule(), action()))
    assert "1 rule, 1 action, no problems." in said
    assert 'The tables of the rules are not here yet: "migrate" makes them.' in said


def test_a_rule_is_told_as_a_sentence_or_without_the_admin_by_its_name(
    fixtures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(fixtures, rule(enabled=False), action())
    assert "a-rule: When an order is" in told("check", path)
    assert "(shipped switched off)" in told("check", path)
    monkeypatch.setattr(apps, "is_installed", lambda name: name != "django.contrib.admin")
    assert "a-rule: A rule (shipped switched off)" in told("check", path)


@pytest.mark.parametrize("command", ["check", "install", "diff"])
def test_a_pack_with_problems_ends_each_command_with_their_number(fixtures: Path, command: str) -> None:
    path = write(fixtures, rule(signals=["post_svae"]), action("gone"))
    ended, said = refused(command, path)
    assert ended.startswith(f"{path}: 2 problems.")
    assert 'Did you mean "post_save"?' in said
    assert "The pack has no rule 'gone'." in said
    assert not Rule.objects.exists()


def test_more_problems_than_are_shown_are_counted(fixtures: Path) -> None:
    ended, said = refused("check", write(fixtures, *[5] * 1_200))
    assert ended.endswith(": 1,000 problems.")
    assert "… and 500 more problems." in said
    assert "The rest of the pack was not looked at." in said


# Tests that come with a pack


def test_a_test_that_fails_keeps_a_pack_from_being_installed_switched_on(fixtures: Path) -> None:
    path = write(fixtures, rule(), action(), kept_test(outcome="stops"))
    ended, said = refused("install", path)
    assert ended == f"{path}: 1 test, 1 failed. Nothing was installed; with --disabled it is, switched off."
    assert "FAILED  a-rule: As it is" in said
    assert not Rule.objects.exists()
    assert "Switched off: a-rule. Switch them on under Rules in the admin." in told("install", path, "--disabled")
    assert not Rule.objects.get().enabled
    assert refused("check", path)[0] == f"{path}: 1 test, 1 failed."


def test_tests_are_installed_once_and_again_where_they_changed(fixtures: Path) -> None:
    path = write(fixtures, rule(), action(), kept_test())
    assert "1 test of rules written." in told("install", path)
    assert "written" not in told("install", path).replace("Nothing to change", "")
    own = RuleTest.objects.create(
        rule=Rule.objects.get(), name="Made here", signal="post_save", operation="create",
        occurred_at="2031-05-06T10:30:00Z", context={}, expected={"outcome": "acts"},
    )  # fmt: skip
    path = write(fixtures, rule(), action(), kept_test(context={"instance": {"pk": 2}}))
    assert "1 test of rules written." in told("install", path)
    assert RuleTest.objects.get(name="As it is").context == {"instance": {"pk": 2}}
    assert RuleTest.objects.filter(pk=own.pk).exists()


# Exports


def test_an_export_that_is_dry_says_where_it_would_go(tmp_path: Path) -> None:
    create_rule("shop.order", slug="one", actions=[("log_message", {"message": "x"})])
    path = tmp_path / "out.json"
    assert told("export", "-o", str(path), "--dry-run") == f"1 rule would be written to {path}.\n"
    assert not path.exists()
    assert told("export", "one", "-o", str(path)) == f"1 rule written to {path}.\n"
    assert f"{path}: 1 rule, 1 action, no problems." in told("check", str(path))


def test_an_export_of_no_rules_is_an_empty_pack() -> None:
    assert json.loads(told("export")) == []


@pytest.mark.parametrize(("option", "count"), [((), 1), (("--without-tests",), 0)])
def test_an_export_has_the_tests_unless_they_are_left_out(fixtures: Path, option: tuple[str, ...], count: int) -> None:
    told("install", write(fixtures, rule(), action(), kept_test()))
    exported = json.loads(told("export", *option))
    assert sum(item["model"] == "rules_engine.ruletest" for item in exported) == count


# Rules of one tenant


@pytest.mark.parametrize(
    ("slug", "name", "made"),
    [
        ("paid", "north", "paid-north"),
        ("paid", "North & South", "paid-north-south"),
        ("x" * 100, "north", "x" * 94 + "-north"),
        ("paid", "", "paid"),
    ],
)
def test_a_slug_of_one_tenant_ends_in_its_name_and_tests_go_along(slug: str, name: str, made: str) -> None:
    spec = RuleSpec(slug=slug, model="shop.order", signals=("post_save",))
    of_rule = [RuleTestSpec("n", "post_save", None, "create", {})]  # type: ignore[arg-type]
    rules, tests = installing.with_ending([spec], {slug: of_rule, "gone": of_rule}, name)
    assert [one.slug for one in rules] == [made]
    assert tests[made] == of_rule
    assert ("gone" in tests) == (not name)
