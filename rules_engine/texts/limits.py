"""What one text may cost. Sizes are in characters, times in seconds."""

from __future__ import annotations

#: A template's source.
SOURCE = 16 * 1024
#: Openings of tags and variables in one source: the lexer's time grows with their number times the length.
TAGS = 1_000
#: How deep tags may stand in each other, and how many words one condition may have.
NESTING, WORDS = 20, 60
#: One value, as it is printed or given to a filter; the rest is cut off and marked.
VALUE = 4 * 1024
#: What comes out of one text.
OUTPUT = 200_000
#: Steps (values looked up, filters, rounds of a loop) and seconds that one rendering may take.
STEPS, SECONDS = 10_000, 1.0
#: Seconds that all texts of one save may take together, while whoever saves waits: keys of rules that hold back, and
#: texts of actions that act at once. And the steps that each of them may take in any case.
SAVE_SECONDS, SAVE_STEPS = 0.005, 20

#: An error text, which may quote the template.
MESSAGE = 600

#: Stands for what was cut off.
MARK = "…"
