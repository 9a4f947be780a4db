"""Models whose rows are nodes of a tree: the columns that keep it in order are written by the tree's own methods.

django-treebeard (and with it Wagtail's pages and collections) and django-mptt are known by the modules of a model's
bases; nothing of them is imported.
"""

from __future__ import annotations

from collections.abc import Iterator

from rules_engine.context.paths import ModelClass

#: Wagtail's pages keep their address beside their place.
ADDRESS = "url_path"


def tree_columns(model: ModelClass) -> frozenset[str]:
    """Return the names of the fields that say where in its tree a row is; none of a model that is in no tree."""
    places = frozenset(_places(model))
    if hasattr(model, "_mptt_meta"):
        kept = (getattr(model._mptt_meta, f"{part}_attr", None) for part in ("left", "right", "tree_id", "level"))
        places |= {name for name in kept if name}
    return places | {ADDRESS} if places and _is_page(model) else places


def is_placed_by_methods(model: ModelClass) -> bool:
    """Say whether a plain save would store a node without a place: treebeard's nodes come from ``add_child``."""
    return any(True for _ in _places(model))


def _places(model: ModelClass) -> Iterator[str]:
    for base in model.__mro__:
        meta = getattr(base, "_meta", None)
        if _package(base) == "treebeard" and meta is not None and meta.abstract:
            yield from (field.name for field in meta.local_fields)


def _is_page(model: ModelClass) -> bool:
    return any(_package(base) == "wagtail" and base.__name__ == "Page" for base in model.__mro__)


def _package(base: type) -> str:
    return base.__module__.partition(".")[0]
