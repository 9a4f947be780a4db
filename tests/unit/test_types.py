from __future__ import annotations

import itertools
import uuid

from rules_engine.types import new_id, new_ids


def test_ids_are_version_7_of_the_rfc_and_in_the_order_they_were_made() -> None:
    made = [*(new_id() for _ in range(500)), *new_ids(300), *new_ids(200)]
    assert {(one.version, one.variant) for one in made} == {(7, uuid.RFC_4122)}
    wraps = sum(later < earlier for earlier, later in itertools.pairwise(made))
    assert wraps == 0
    assert len(set(made)) == 1_000
