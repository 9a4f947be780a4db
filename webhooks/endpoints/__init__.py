"""How endpoints do: the breaker, what is said of them, and whom that is told."""
