"""What a rule would do: on what is there, and how often."""
