"""What rules on time will do: when they act next and on what, and why they do not act on an object."""
