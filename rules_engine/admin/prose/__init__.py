"""A rule in clauses: when, only if, at most, then; each as running text in the language of the page."""
