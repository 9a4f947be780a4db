"""Our pages in the admin's themes, one a run: THEME names it, and CONTRIBUTING.md the command."""
