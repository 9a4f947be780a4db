"""Labels: what rules are grouped by in their list, and no part of what they do."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from project.shop.models import Order, Product
from rules_engine.admin.rules.rule_labels import labels_in_use
from rules_engine.live.compiler import content_of
from rules_engine.models import Rule
from rules_engine.packs import checking, installing, writing
from rules_engine.rules.validation import check_labels
from rules_engine.testing import create_rule
from tests.integration.admin.conftest import change_url, client_of, make_user, posted_by_the_page

pytestmark = pytest.mark.django_db(transaction=True)

LIST = reverse("admin:rules_engine_rule_changelist")
LOG = ("log_message", {"message": "x"})


def labelled(slug: str, *labels: str, model: Any = Order, **fields: Any) -> Rule:
    rule = create_rule(model=model, slug=slug, name=f"Rule {slug}", actions=[LOG], **fields)
    Rule.objects.filter(pk=rule.pk).update(labels=list(labels) or None)
    rule.refresh_from_db()
    return rule


def names(client: Client, **asked: str) -> list[str]:
    page = client.get(LIST, asked).content.decode()
    return [unescape(name) for name in re.findall(r'class="rules-name"[^>]*>Rule ([^<]*)<', page)]


def headings(client: Client, **asked: str) -> list[str]:
    page = client.get(LIST, asked).content.decode()
    return [unescape(name) for name in re.findall(r'class="rules-group"[^>]*>([^<]*)<', page)]


def test_the_list_is_filtered_by_label(admin_client: Client) -> None:
    labelled("a", "billing", "später 😀")
    labelled("b", "bill")
    labelled("c")
    assert names(admin_client, label="billing") == ["a"]
    assert names(admin_client, label="bill") == ["b"]
    assert names(admin_client, label="später 😀") == ["a"]
    assert names(admin_client, label="-") == ["c"]
    assert names(admin_client, label="nobody's") == []
    assert labels_in_use() == ["bill", "billing", "später 😀"]


def test_the_list_is_grouped_under_headings(admin_client: Client) -> None:
    labelled("a", "urgent")
    labelled("b", "billing", "urgent", model=Product)
    labelled("c")
    labelled("d", "urgent", model=Product)
    assert headings(admin_client) == []
    assert names(admin_client, group="label") == ["b", "a", "d", "c"]
    assert headings(admin_client, group="label") == ["billing", "urgent", "Without a label"]
    assert headings(admin_client, group="model") == ["Order", "Product"]
    # Whoever has it ordered by a column has no groups, and what is no group is none.
    assert headings(admin_client, group="label", o="1") == []
    assert headings(admin_client, group="<b>") == []


def test_labels_are_typed_with_commas_and_stay_as_they_are(admin_client: Client) -> None:
    rule = labelled("a", "billing", "with customers")
    page = admin_client.get(change_url(rule)).content.decode()
    assert 'value="billing, with customers"' in page
    before = Rule.objects.get(pk=rule.pk)
    admin_client.post(change_url(rule), posted_by_the_page(page))
    after = Rule.objects.get(pk=rule.pk)
    assert (after.labels, after.author_id) == (["billing", "with customers"], before.author_id)
    admin_client.post(change_url(rule), {**posted_by_the_page(page), "labels": " urgent ,, billing,urgent"})
    after = Rule.objects.get(pk=rule.pk)
    # Who groups a rule does not answer for what it does.
    assert (after.labels, after.author_id) == (["urgent", "billing"], before.author_id)
    admin_client.post(change_url(rule), {**posted_by_the_page(page), "labels": "x" * 41})
    assert Rule.objects.get(pk=rule.pk).labels == ["urgent", "billing"]


def test_several_rules_get_and_lose_labels_at_once() -> None:
    one, two = labelled("a", "old", "kept"), labelled("b")
    client = client_of(make_user("rules_engine.view_rule", "rules_engine.change_rule"))
    chosen = {"action": "label", "_selected_action": [str(one.pk), str(two.pk)]}
    page = client.post(LIST, chosen).content.decode()
    assert "Labels group rules and change nothing of what they do." in page
    assert "Name a label to add" in client.post(LIST, {**chosen, "post": "yes"}).content.decode()
    client.post(LIST, {**chosen, "post": "yes", "add": "new", "remove": ["old"]})
    assert [rule.labels for rule in Rule.objects.order_by("slug")] == [["kept", "new"], ["new"]]
    client.post(LIST, {**chosen, "post": "yes", "remove": ["new"]})
    assert [rule.labels for rule in Rule.objects.order_by("slug")] == [["kept"], None]


def test_whoever_may_only_view_rules_labels_none() -> None:
    rule = labelled("a", "old")
    client = client_of(make_user("rules_engine.view_rule"))
    client.post(LIST, {"action": "label", "_selected_action": [str(rule.pk)], "post": "yes", "add": "new"})
    assert Rule.objects.get(pk=rule.pk).labels == ["old"]
    assert "old" in client.get(change_url(rule)).content.decode()


def test_labels_make_no_version_and_change_no_pack_that_has_none() -> None:
    rule = labelled("a")
    before, text = content_of(rule.spec()), writing.text([rule.spec()])
    rule.labels = ["billing"]
    assert content_of(rule.spec()) == before
    assert '"labels"' not in text
    assert '"labels": [\n        "billing"\n      ],' in writing.text([rule.spec()])


def test_a_pack_brings_labels_and_leaves_those_that_are_here() -> None:
    pack = json.loads(writing.text([labelled("a", "from the pack").spec()]))
    Rule.objects.all().delete()
    checked = checking.check(pack)
    assert checked.problems == []
    installing.install(installing.plan(checked.rules), "mine")
    rule = Rule.objects.get()
    assert rule.labels == ["from the pack"]
    Rule.objects.update(labels=["of this site"])
    pack[0]["fields"] |= {"name": "Renamed", "labels": ["another"]}
    [change] = installing.plan(checking.check(pack).rules)
    assert '"labels"' not in "".join(line for line in installing.difference(change).splitlines() if line[:1] in "+-")
    installing.install([change], "mine")
    rule = Rule.objects.get()
    assert (rule.name, rule.labels) == ("Renamed", ["of this site"])


@pytest.mark.parametrize(
    "labels",
    [
        "billing",
        [1],
        [""],
        [" x"],
        ["a,b"],
        ["x" * 41],
        ["a", "A"],
        [str(number) for number in range(11)],
        ["a\x00"],
        {},
    ],
)
def test_what_is_no_label_is_refused(labels: Any) -> None:
    with pytest.raises(ValidationError):
        check_labels(labels)
    rule = json.loads(writing.text([labelled("a").spec()]))
    rule[0]["fields"]["labels"] = labels
    assert any("/labels" in str(finding) for finding in checking.check(rule).problems)


def test_the_list_asks_no_more_for_more_labels_and_endpoints(admin_client: Client) -> None:
    def asked() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert admin_client.get(LIST, {"group": "label", "label": "x"}).status_code == 200
        return len(queries)

    for number in range(2):
        labelled(f"a{number}", "x", f"l{number}")
    few = asked()
    for number in range(2, 12):
        labelled(f"a{number}", "x", f"l{number}")
    assert asked() == few
