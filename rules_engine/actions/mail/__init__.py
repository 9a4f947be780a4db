"""Mail: whom it goes to, what is attached, and who got theirs."""
