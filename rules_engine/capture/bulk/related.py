"""What rules read of related rows, for many objects at once: one query for each relation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.db import models

from rules_engine.context import aggregates, snapshot
from rules_engine.context.aggregates import Aggregate
from rules_engine.context.paths import ModelClass, aggregates_in, any_is_queried, steps
from rules_engine.context.related.held import TOGETHER, Together, Way, follow, hold
from rules_engine.context.snapshot import Tree
from rules_engine.databases.savepoints import confined
from rules_engine.types import ask


def read_together(objects: Sequence[models.Model], tree: Tree, using: str) -> None:
    """Have objects that were fetched along with those beside them, and that nobody else has, hold what their rows come
    to, and read rows of theirs together, as far as the tree asks for these."""
    if not objects or not any_is_queried(type(objects[0]), tuple(tree)):
        return
    together, model = Together(), type(objects[0])
    for one in objects:
        one.__dict__[TOGETHER] = together
    for ends, wanted in _aggregates_below(objects, model, tree):
        ask(_fetch, ends, wanted, using, together)  # where that fails each reads its own, and says so
    hold(objects, ways_of(model, tree), together)


def _fetch(ends: Sequence[models.Model], wanted: Sequence[Aggregate], using: str, together: Together) -> None:
    with confined(using):
        aggregates.fetch(ends, wanted, together)


def _aggregates_below(
    objects: Sequence[models.Model], model: ModelClass, tree: Tree
) -> Iterator[tuple[Sequence[models.Model], Sequence[Aggregate]]]:
    """Yield the objects, and those at the end of relations to one, with what is asked of rows of theirs."""
    if objects and (wanted := aggregates_in(model, tree)):
        yield objects, wanted
    for name, below in tree.items():
        step = steps(model).get(name)
        if step is not None and step.kind == "to_one" and step.model is not None and below:
            yield from _aggregates_below(follow(objects, (name,)), step.model, below)


def ways_of(model: ModelClass, tree: Tree, path: tuple[str, ...] = ()) -> Iterator[Way]:
    """Yield the relations to many that the tree follows, behind any number of relations to one."""
    for name, further in tree.items():
        step = steps(model).get(name)
        if step is None or step.model is None:
            continue
        if step.kind == "to_one":
            yield from ways_of(step.model, further, (*path, name))
        elif step.kind == "to_many":
            yield Way(path, name, tuple(snapshot.to_one(step.model, snapshot.of_rows(further))))
