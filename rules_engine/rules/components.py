"""Strongly connected parts of a graph: the sets of nodes that can all reach each other."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any

Graph = Mapping[Any, Iterable[Any]]


def components(graph: Graph) -> list[set[Hashable]]:
    """The strongly connected parts, single nodes included (Kosaraju's way, without recursion: chains may be long)."""
    backwards: dict[Any, list[Any]] = {node: [] for node in graph}
    for node, targets in graph.items():
        for target in targets:
            backwards.setdefault(target, []).append(node)
    seen: set[Any] = set()
    finished = [node for start in backwards for node in _finished(graph, start, seen)]
    seen = set()
    parts = (set(_finished(backwards, start, seen)) for start in reversed(finished))
    return [part for part in parts if part]


def _finished(graph: Graph, start: Any, seen: set[Any]) -> Iterator[Any]:
    """What can be reached from ``start`` and was not seen, each node after all that it leads to."""
    if start in seen:
        return
    seen.add(start)
    stack = [(start, iter(graph.get(start, ())))]
    while stack:
        node, targets = stack[-1]
        unseen = next((one for one in targets if one not in seen), None)
        if unseen is None:
            stack.pop()
            yield node
        else:
            seen.add(unseen)
            stack.append((unseen, iter(graph.get(unseen, ()))))
