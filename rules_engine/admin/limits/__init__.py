"""How often a rule acts, as people say it: spans of time in units, and what is counted by itself."""
