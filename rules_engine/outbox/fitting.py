"""An event within EVENT_BYTES: its largest values are cut, and the rules that read those are told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext

from rules_engine import conf
from rules_engine.context.plain_data import CUT, size_of
from rules_engine.outbox.batch import cut
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import EVERY_FIELD, CutList, CutMapping, CutText, Evaluation, Path

#: Parts that are small by themselves, and that everybody reads.
NEVER_CUT = ("event", "actor", "request", "created")
#: Characters that are left of a text.
LEFT = 250


def fitted(context: Mapping[str, Any]) -> tuple[Mapping[str, Any], Collection[Path]]:
    """Return the context as an event keeps it, and the paths of what was cut off for its size: as a rule nothing."""
    most = conf.event_bytes()
    # What Python writes of it has a quarter of that at least, and takes a third of the time.
    if len(repr(context)) * 4 <= most:
        return context, ()
    size = size_of(context)
    if size <= most:
        return context, ()
    values = sorted(_values(context), key=lambda found: found[0], reverse=True)
    whole = {name: dict(part) if isinstance(part, Mapping) else part for name, part in context.items()}
    paths: list[Path] = []
    for bytes_of_value, path, value in values:
        if size <= most:
            break
        left = _cut(value)
        if len(path) == 1:
            whole[path[0]] = left
        else:
            whole[path[0]][path[1]] = left
        size -= bytes_of_value - size_of(left)
        paths.append(path)
    return whole, paths


def _values(context: Mapping[str, Any]) -> Iterator[tuple[int, Path, Any]]:
    """Yield the values that may be cut, each with its size and its path."""
    for name, part in context.items():
        if name in NEVER_CUT:
            continue
        below = [(name, key, value) for key, value in part.items()] if isinstance(part, Mapping) else [(name, part)]
        for *path, value in below:
            if isinstance(value, str | list | Mapping):
                yield size_of(value), tuple(path), value


def _cut(value: Any) -> Any:
    """Return what is kept of a value, marked as such."""
    if isinstance(value, str):
        return CutText(value[:LEFT] + CUT) if len(value) > LEFT else value
    return CutList([CUT]) if isinstance(value, list) else CutMapping({CUT: CUT})


def blind(rules: Iterable[CompiledRule], paths: Collection[Path]) -> dict[str, Evaluation]:
    """Return the errors of the rules that read one of these, by their slugs."""
    errors: dict[str, Evaluation] = {}
    for rule in rules:
        lost = [path for path in paths if any(_meet(path, read) for read in rule.action_reads | rule.reads)]
        if lost:
            message = gettext(
                "The event is larger than the %(bytes)s bytes that are kept of one (EVENT_BYTES in RULES_ENGINE), and "
                '"%(path)s", which this rule reads, was cut: read fewer fields or rows, or raise it.'
            )
            bytes_kept = number_format(conf.event_bytes(), force_grouping=True)
            errors[rule.slug] = cut(rule, message % {"bytes": bytes_kept, "path": ".".join(lost[0])})
    return errors


def _meet(path: Path, read: Path) -> bool:
    """Say whether one of them lies in the other."""
    read = read[:-1] if read[-1:] == (EVERY_FIELD,) else read
    return all(one == other for one, other in zip(path, read, strict=False))
