"""``write_audit_entry``, held to what every kind must hold to, and what it keeps."""

from __future__ import annotations

from typing import Any

import pytest

from rules_engine.models import AuditEntry
from rules_engine.rules import registry
from rules_engine.testing import ActionContractTests
from rules_engine.types import RuleSpec

pytestmark = pytest.mark.django_db

RULE = RuleSpec(slug="r", model="zoo.animal", signals=("post_save",))


class TestContract(ActionContractTests):
    kind = "write_audit_entry"
    config = {"fields": ["name"], "name": "{{ instance.name }}", "note": "Seen"}
    context = {
        "instance": {"pk": 1, "name": "Rex", "notes": "kept out"},
        "changes": {"name": {"old": "Max", "new": "Rex"}},
        "actor": {"id": "7", "username": "ada"},
    }
    rule = RULE

    def written(self, **config: Any) -> AuditEntry:
        self.action().run(self._context(), {**self.config, **config})
        return AuditEntry.objects.get()

    def test_an_entry_tells_who_changed_what(self) -> None:
        entry = self.written()
        assert (entry.operation, entry.object_text, entry.actor_name, entry.note) == ("CREATE", "Rex", "ada", "Seen")
        assert entry.changes == {"name": {"old": "Max", "new": "Rex"}}
        assert entry.fields == {"name": "Rex"}

    def test_a_word_of_ones_own_names_what_happened(self) -> None:
        assert self.written(operation="{{ event|default:'ADOPTED' }}").operation == "ADOPTED"

    def test_a_text_longer_than_its_column_is_cut(self) -> None:
        entry = self.written(operation="x" * 50, name="y" * 500)
        entry.full_clean(exclude=["fields", "changes"])
        assert entry.operation.startswith("xxx")

    @pytest.mark.parametrize(
        ("config", "pointer"),
        [
            ({"fields": "name"}, "/fields"),
            ({"fields": ["nme"]}, "/fields/0"),
            ({"note": "{{ instance.nme }}"}, "/note"),
            ({"operation": "{% if %}"}, "/operation"),
        ],
    )
    def test_what_is_wrong_is_said_at_its_place(self, config: dict[str, Any], pointer: str) -> None:
        assert [problem.pointer for problem in self.action().validate_config(config, RULE)] == [pointer]


def test_what_people_order_is_refused_to_rules() -> None:
    replay = registry.find("replay_executions")
    assert replay is not None
    assert replay.only_ordered
    assert "replay_executions" not in registry.kinds()
    [problem] = replay.validate_config({}, RULE)
    assert "not by a rule" in problem.message
