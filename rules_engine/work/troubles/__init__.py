"""Trouble that workers find: what is given up, what is overdue, that nobody works."""
