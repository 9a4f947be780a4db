"""What Django knows when it sends a signal and does not send with it: read from the frame that sends it.

``save(force_insert=…, force_update=…)`` decide whether a save looks for a row; no argument of ``pre_save`` tells. Nor
does ``m2m_changed`` tell, before Django 6.1, that its rows are loaded data. To find out by the database would be a
statement at each insert; a look at some frames is a few microseconds, and is done only where it decides something.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import NamedTuple

from django.core.serializers.base import DeserializedObject
from django.db import models

#: Frames between a receiver and what had its signal sent: our own, Django's ``send`` and wrappers around that, and for
#: a relation its manager's methods.
MOST_FRAMES = 30
_SAVES = models.Model.save_base.__code__
_LOADS = frozenset({DeserializedObject.save.__code__, DeserializedObject.save_deferred_fields.__code__})


class Forced(NamedTuple):
    """What a save was told to do without looking."""

    insert: bool = False
    update: bool = False


def forced() -> Forced:
    """Tell what the save was told whose signal is being received."""
    frame = _first_of(frozenset({_SAVES}))
    if frame is None:
        return Forced()
    told = frame.f_locals
    return Forced(bool(told.get("force_insert")), bool(told.get("force_update")))


def is_loading() -> bool:
    """Say whether the signal that is being received comes of a deserialized object's own save."""
    return _first_of(_LOADS) is not None


def _first_of(codes: frozenset[CodeType]) -> FrameType | None:
    return next((frame for frame in _frames() if frame.f_code in codes), None)


def _frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(2)
    for _ in range(MOST_FRAMES):
        if frame is None:
            return
        yield frame
        frame = frame.f_back
