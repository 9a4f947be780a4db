"""Why a rule did, or did not, act: one block of changes and verdicts, and the page that asks for it."""
