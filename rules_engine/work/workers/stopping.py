"""Whether this process was told to end: what it has claimed and not begun, it gives back."""

from __future__ import annotations

import threading

#: Set once, by whoever is told. Read between two executions, so a flag and not a question to somebody.
asked = threading.Event()
