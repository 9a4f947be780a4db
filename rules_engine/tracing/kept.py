"""A place in a trace as a row keeps it and headers say it: ``traceparent``, then ``tracestate`` (W3C Trace Context).

Texts alone, so that a process without OpenTelemetry reads what another one has written.
"""

from __future__ import annotations

from collections.abc import Iterable

#: ``00-``, the trace's id, the span's id and the flags, as the standard has them.
PARENT_CHARACTERS = 55
#: What the standard asks everybody to hand on of ``tracestate``, at least.
STATE_CHARACTERS = 512
LONGEST = PARENT_CHARACTERS + 1 + STATE_CHARACTERS


def kept(parent: str, state: Iterable[str] = ()) -> str:
    """Put together what a row keeps: the ``traceparent``, and as many members of the ``tracestate`` as have room.

    Those that were changed last come first, and a member is kept whole or not at all.
    """
    members, length = [], -1
    for member in state:
        length += len(member) + 1
        if length > STATE_CHARACTERS:
            break
        members.append(member)
    return f"{parent} {','.join(members)}" if members else parent


def taken_apart(text: str | None) -> tuple[str, str]:
    """Give the ``traceparent`` and the ``tracestate`` of what a row keeps; both empty where it keeps nothing."""
    parent, _, state = (text or "").partition(" ")
    return parent, state


def trace_id_of(text: str | None) -> str:
    """Give the trace's id, 32 hexadecimal digits, of what a row keeps or of a ``traceparent``; empty where there is
    none."""
    parts = (text or "").split("-", 2)
    return parts[1] if len(parts) == 3 and len(parts[1]) == 32 else ""
