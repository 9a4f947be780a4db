"""Spans of what the engine does, and the trace that an event is a part of."""
