"""Which version of a rule is running: numbers given out, by content, when a rule set is compiled.

Given at compilation and not at editing, so that an edit by ``QuerySet.update``, raw SQL or ``loaddata`` gets a version
as well, and one form in, in between and never run gets none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.db.models import Max

from rules_engine.live.compiler import content_of, digest_of
from rules_engine.models import RuleVersion
from rules_engine.types import RuleSpec


def number_versions(specs: Iterable[RuleSpec], using: str) -> dict[str, int]:
    """Return the version number of each rule by slug; a form not seen before is stored under the next number."""
    contents = {spec.slug: content_of(spec) for spec in specs}
    digests = {slug: digest_of(content) for slug, content in contents.items()}
    latest = _latest(contents, using)
    new = [slug for slug, digest in digests.items() if latest.get(slug, (0, ""))[1] != digest]
    if new:
        authors = {spec.slug: spec.author_id for spec in specs}
        _store(new, contents, digests, latest, authors, using)
        latest = _latest(contents, using)
    return {slug: latest[slug][0] for slug in contents}


def newest_numbers(using: str) -> dict[str, int]:
    """Return the number of the latest version of each rule by slug."""
    rows: Any = RuleVersion._default_manager.using(using).order_by().values_list("rule_slug")
    return dict(rows.annotate(newest=Max("number")))


def _latest(slugs: Collection[str], using: str) -> dict[str, tuple[int, str]]:
    rows = RuleVersion._default_manager.using(using).filter(rule_slug__in=slugs).order_by("number")
    return {slug: (number, digest) for slug, number, digest in rows.values_list("rule_slug", "number", "digest")}


def _store(
    slugs: Iterable[str],
    contents: Mapping[str, Mapping[str, object]],
    digests: Mapping[str, str],
    latest: Mapping[str, tuple[int, str]],
    authors: Mapping[str, object],
    using: str,
) -> None:
    rows = [
        RuleVersion(
            rule_slug=slug,
            number=latest.get(slug, (0, ""))[0] + 1,
            digest=digests[slug],
            content=contents[slug],
            author_id="" if authors[slug] is None else str(authors[slug]),
        )
        for slug in slugs
    ]
    # Another process may be storing the same edit; whoever is second keeps what the first wrote.
    RuleVersion._default_manager.using(using).bulk_create(rows, ignore_conflicts=True)
