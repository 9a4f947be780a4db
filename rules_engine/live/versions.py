"""Which version of a rule is running: numbers given out, by content, when a rule set is compiled.

Given at compilation and not at editing, so that an edit by ``QuerySet.update``, raw SQL or ``loaddata`` gets a version
as well, and one form in, in between and never run gets none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Max

from rules_engine.live.breakers.opening import close_breakers
from rules_engine.live.compiler import content_of, digest_of
from rules_engine.models import RuleVersion
from rules_engine.types import RuleSpec

#: The number and the digest of a rule that has no version.
NONE_YET = (0, "")
#: Rules whose versions are asked for by name; of more, those of all rules are read, as no statement grows without end.
MOST_ASKED = 500


@dataclass(frozen=True, slots=True)
class _Form:
    """A rule as it is now."""

    content: Mapping[str, Any]
    digest: str
    author_id: str

    @classmethod
    def of(cls, spec: RuleSpec) -> _Form:
        content = content_of(spec)
        return cls(content, digest_of(content), "" if spec.author_id is None else str(spec.author_id))


def number_versions(specs: Iterable[RuleSpec], using: str) -> dict[str, int]:
    """Return the version number of each rule by slug; a form not seen before is stored under the next number."""
    forms = {spec.slug: _Form.of(spec) for spec in specs}
    latest = _latest(forms, using)
    new = {slug: form for slug, form in forms.items() if latest.get(slug, NONE_YET)[1] != form.digest}
    if new:
        _store(new, latest, using)
        latest = _latest(forms, using)
    return {slug: latest[slug][0] for slug in forms}


def newest_numbers(slugs: Collection[str], using: str) -> dict[str, int]:
    """Return the number of the latest version of each of these rules, by slug."""
    if not slugs:
        return {}
    rows: Any = RuleVersion._default_manager.using(using).order_by().values_list("rule_slug")
    if len(slugs) <= MOST_ASKED:
        rows = rows.filter(rule_slug__in=slugs)
    return dict(rows.annotate(newest=Max("number")))


def _latest(slugs: Collection[str], using: str) -> dict[str, tuple[int, str]]:
    rows = RuleVersion._default_manager.using(using).order_by("number")
    if len(slugs) <= MOST_ASKED:
        rows = rows.filter(rule_slug__in=slugs)
    return {slug: (number, digest) for slug, number, digest in rows.values_list("rule_slug", "number", "digest")}


def _store(forms: Mapping[str, _Form], latest: Mapping[str, tuple[int, str]], using: str) -> None:
    rows = [
        RuleVersion(
            rule_slug=slug,
            number=latest.get(slug, NONE_YET)[0] + 1,
            digest=form.digest,
            content=form.content,
            author_id=form.author_id,
        )
        for slug, form in forms.items()
    ]
    # Another process may be storing the same edit; whoever is second keeps what the first wrote.
    RuleVersion._default_manager.using(using).bulk_create(rows, ignore_conflicts=True)
    # Also what was edited by an UPDATE, of which nobody is told.
    close_breakers([row.rule_slug for row in rows if row.number > 1], using)
