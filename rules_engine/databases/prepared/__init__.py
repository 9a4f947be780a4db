"""Statements whose text is made once: rows that are written in the save path, and what workers ask all day."""
