"""Where a site is told what rules see: beside a rule's form, on the overview, by check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from rules_engine.checks import check_unseen_writes
from rules_engine.databases.triggers import triggers_of
from rules_engine.live import cache
from rules_engine.live.compiler import compile_rule
from rules_engine.live.triggers.installing import CannotInstall, captures_for
from rules_engine.models import Rule
from rules_engine.test.seen.models import Seen, seen_by, seen_of_models
from rules_engine.testing import create_rule
from tests.integration.admin.conftest import admin_client as admin_client
from tests.integration.admin.conftest import german as german
from tests.integration.admin.conftest import root as root
from tests.integration.surroundings import shop_of
from tests.integration.triggers.conftest import install as install
from tests.zoo.models import Animal, Crate

pytestmark = pytest.mark.django_db(transaction=True)

LOG = [("log_message", {"message": "{{ instance.name }}"})]
AT_ONCE = [("write_audit_entry", {"note": "x"}, {"timing": "in_transaction"})]
#: SQLite loads no files.
FILES = () if connection.vendor == "sqlite" else ("file",)
Install = Callable[..., None]


def seen(rule: Rule) -> Seen:
    told = seen_by(compile_rule(rule.spec(), 0))
    assert told is not None
    return told


def names(told: Seen) -> set[str]:
    return {write.name for write in told.unseen}


def test_signals_alone_miss_what_django_does_not_tell(install: Install) -> None:
    told = seen(create_rule(Animal, actions=LOG))
    assert told.means == "signals"
    assert names(told) == {"update", "bulk_create", "bulk_conflicts", "bulk_update", "sql", *FILES, "program"}
    assert (told.command, told.code) == ("manage.py rules_triggers install zoo.animal", "objects = RulesManager()")
    assert told.missed.startswith("bulk operations, raw SQL")


def test_a_rule_on_deletes_is_told_of_deletes_alone(install: Install) -> None:
    told = seen(create_rule(Animal, signals=["post_delete"], actions=LOG))
    assert names(told) == {"sql", "program"}
    assert told.code == "", "deletes are no bulk operation that a manager tells of"


def test_a_manager_of_ours_sees_bulk_operations(install: Install) -> None:
    told = seen(create_rule(Crate, actions=LOG))
    assert told.means == "bulk"
    assert names(told) == {"set_null", "sql", *FILES, "program"}


def test_triggers_see_all(install: Install) -> None:
    rule = create_rule(Animal, actions=LOG)
    install(Animal)
    told = seen(rule)
    assert (told.means, names(told), told.command) == ("triggers", set(), "")
    assert told.sentence == "Every write is seen, whoever makes it: database triggers tell of it."


def test_a_rule_is_told_of_what_it_hears_alone(install: Install) -> None:
    told = seen(create_rule(Animal, operations=["create"], actions=LOG))
    assert names(told) == {"bulk_create", "bulk_conflicts", "sql", *FILES, "program"}
    told = seen(create_rule(Animal, signals=["m2m_changed"], actions=LOG))
    assert names(told) == {"lost_relation", "sql", *FILES, "program"}
    assert told.code == ""


def test_what_a_database_s_cascades_do_is_unseen_on_mysql(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rules_engine.test.seen.models.left_to_database", lambda field: "DB_CASCADE")
    rule = create_rule(Animal, signals=["post_delete"], actions=LOG)
    install(Animal)
    assert names(seen(rule)) == ({"cascade"} if connection.vendor == "mysql" else set())


def test_an_action_in_the_transaction_says_why_triggers_cannot_tell_it(install: Install) -> None:
    create_rule(Animal, actions=LOG)
    install(Animal)
    told = seen(create_rule(Animal, actions=AT_ONCE))
    assert told.means == "signals"
    assert told.command == ""
    assert told.reasons == ("It acts before the change is committed, in the process that makes it.",)


def test_a_rule_that_is_off_is_told_what_it_would_see(install: Install) -> None:
    create_rule(Animal, actions=LOG)
    install(Animal)
    assert seen(create_rule(Animal, enabled=False, actions=LOG)).means == "triggers"
    wants_more = create_rule(Animal, enabled=False, signals=["post_delete"], actions=LOG)
    assert seen(wants_more).means == "signals"
    assert seen(wants_more).trouble.startswith("The triggers do not capture ")


def test_triggers_that_are_gone_are_trouble(install: Install) -> None:
    rule = create_rule(Animal, actions=LOG)
    install(Animal)
    drop_triggers()
    told = seen(rule)
    assert told.is_deaf
    assert told.unseen == told.writes
    assert told.command == "manage.py rules_triggers install zoo.animal"
    assert "are no longer in the database" in told.trouble


def drop_triggers() -> None:
    triggers = triggers_of("default")
    assert triggers is not None
    there = sorted(triggers.installed("zoo_animal", "default"))
    triggers.run(triggers.removal("zoo_animal", there, "default"), "default", "zoo_animal")


def test_a_rule_of_no_model_s_signal_has_nothing_to_see(install: Install) -> None:
    rule = create_rule(signals=["request_started"], actions=[("log_message", {"message": "x"})])
    assert seen_by(compile_rule(rule.spec(), 0)) is None


def test_of_a_model_it_is_told_what_all_its_rules_see(install: Install) -> None:
    create_rule(Animal, actions=LOG)
    create_rule(Crate, actions=LOG)
    install(Animal)
    create_rule(Animal, actions=AT_ONCE)
    animal, crate = seen_of_models(cache.current().rules)
    assert (animal.label, animal.means) == ("zoo.animal", "signals")
    assert (crate.label, crate.means) == ("zoo.crate", "bulk")


def test_the_models_cost_one_query_where_none_has_triggers(install: Install, django_assert_num_queries: Any) -> None:
    create_rule(Animal, actions=LOG)
    create_rule(Crate, actions=LOG)
    with django_assert_num_queries(1):
        seen_of_models(cache.current().rules)


def test_check_says_it_of_each_watched_model(install: Install) -> None:
    assert check_unseen_writes(None) == []
    create_rule(Animal, actions=LOG)
    [message] = check_unseen_writes(None)
    assert message.id == "rules_engine.I034"
    assert message.msg.startswith("Rules on zoo.animal: What Django saves and deletes is seen")
    assert message.hint == (
        "manage.py rules_triggers install zoo.animal. Or, for bulk operations, in the model: objects = RulesManager()"
    )
    install(Animal)
    assert check_unseen_writes(None) == []


def test_beside_the_form_stands_what_the_rule_sees(install: Install, admin_client: Client) -> None:
    rule = create_rule(Animal, actions=LOG)
    page = admin_client.get(reverse("admin:rules_engine_rule_change", args=[rule.pk])).content.decode()
    card = page.partition("What it sees")[2].partition("</section>")[0]
    assert "Unseen: bulk operations, raw SQL" in card
    assert '<code dir="ltr">manage.py rules_triggers install zoo.animal</code>' in card
    assert card.count("<strong>no</strong>") == 6 + len(FILES)


def test_on_the_overview_stands_each_watched_model(install: Install, admin_client: Client, german: Client) -> None:
    create_rule(Animal, actions=LOG)
    url = reverse("admin:rules_engine_overview")
    part = admin_client.get(url).content.decode().partition('id="overview-seen"')[2].partition("</section>")[0]
    assert "manage.py rules_triggers install zoo.animal" in part
    part = german.get(url).content.decode().partition('id="overview-seen"')[2].partition("</section>")[0]
    assert "Was Regeln sehen" in part


def test_where_surroundings_are_told_triggers_are_refused(install: Install, settings: Any) -> None:
    rule = create_rule(Animal, actions=LOG)
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SURROUNDINGS": shop_of.SETTING}
    with pytest.raises(CannotInstall, match="SURROUNDINGS"):
        captures_for(Animal)
    assert seen(rule).command == ""
