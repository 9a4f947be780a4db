"""The part of the overview that says which writes rules see, and what mends it where they miss some."""

from __future__ import annotations

from django.utils.translation import gettext

from rules_engine.admin.parts.labels import model_title
from rules_engine.live import cache
from rules_engine.test.seen.models import Seen, seen_of_models
from rules_engine.work.overview import OverviewTable


def seen() -> OverviewTable:
    """Return the part: a row for each model that a live rule watches."""
    of_models = seen_of_models(cache.current().rules)
    return OverviewTable(
        title=gettext("What rules see"),
        headings=(gettext("Model"), gettext("Told by"), gettext("Unseen"), gettext("What mends it")),
        rows=[_row(of_model) for of_model in of_models],
        nothing=gettext("No rule watches a model."),
        is_trouble=any(of_model.trouble for of_model in of_models),
        notes=[f"{model_title(of_model.label)}: {of_model.trouble}" for of_model in of_models if of_model.trouble],
        anchor="seen",
    )


def _row(of_model: Seen) -> tuple[str, str, str, str]:
    return model_title(of_model.label), of_model.told_by, of_model.missed or "–", _mended_by(of_model)


def _mended_by(of_model: Seen) -> str:
    if not of_model.unseen:
        return "–"
    if of_model.command:
        return of_model.command
    return " ".join(of_model.reasons) or of_model.code or "–"
