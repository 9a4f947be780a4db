"""What Django knows when it sends a signal and does not send with it: read from the frame that sends it.

``save(force_insert=…, force_update=…)`` decide whether a save looks for a row; no argument of ``pre_save`` tells. Nor
does ``m2m_changed`` tell, before Django 6.1, that its rows are loaded data. To find out by the database would be a
statement at each insert; a look at some frames is a few microseconds, and is done only where it decides something.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType
from typing import NamedTuple

from django.core.serializers.base import DeserializedObject
from django.db import models
from django.dispatch import Signal

#: Frames between a receiver and what had its signal sent: our own, Django's ``send`` and wrappers around that, and for
#: a relation its manager's methods.
MOST_FRAMES = 30
_SAVES = models.Model.save_base.__code__
_SENDS = Signal.send.__code__
_LOADS = frozenset({DeserializedObject.save.__code__, DeserializedObject.save_deferred_fields.__code__})


class Forced(NamedTuple):
    """What a save was told to do without looking."""

    insert: bool = False
    update: bool = False


def forced(instance: models.Model) -> Forced:
    """Tell what the save of this instance was told whose signal is being received.

    A receiver of another object's save may validate or save this one: what that was told says nothing of this.
    """
    told = next((frame.f_locals for frame in _frames() if frame.f_code is _SAVES), {})
    if told.get("self") is not instance:
        return Forced()
    return Forced(bool(told.get("force_insert")), bool(told.get("force_update")))


def is_loading() -> bool:
    """Say whether the signal that is being received comes of a deserialized object's own save.

    What a site's receiver changes while data is loaded is no loading, and has a signal more on its way.
    """
    signals_sent = 0
    for frame in _frames():
        if frame.f_code in _LOADS:
            return True
        signals_sent += frame.f_code is _SENDS
        if signals_sent > 1:
            return False
    return False


def _frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    for _ in range(MOST_FRAMES):
        if frame is None:
            return
        yield frame
        frame = frame.f_back
