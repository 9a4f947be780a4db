"""Loads the rule packs: the demo's own, and those in ``fixtures/``."""

from __future__ import annotations

import json
from pathlib import Path

from django.conf import settings
from django.core.management import call_command

from rules_engine.models import Rule

OWN = Path(__file__).resolve().parent / "fixtures" / "demo.json"


def install() -> list[str]:
    """Load each pack of which a rule is missing; returns their names. What people did to installed rules stays."""
    known = set(Rule.objects.values_list("slug", flat=True))
    loaded = []
    for path in (*sorted((settings.BASE_DIR / "fixtures").glob("*.json")), OWN):
        if not _slugs(path) <= known:
            call_command("loaddata", str(path), verbosity=0)
            loaded.append(path.stem)
    return loaded


def _slugs(path: Path) -> set[str]:
    rows = json.loads(path.read_text(encoding="utf-8"))
    return {row["fields"]["slug"] for row in rows if row["model"] == "rules_engine.rule"}
