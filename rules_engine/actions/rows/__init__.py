"""Rows of the site's models: created, changed, and given values before they are saved."""
