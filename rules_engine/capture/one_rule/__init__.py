"""Telling one rule of objects as they are, where no signal was sent."""
