"""What is told of rules that wait by the clock whether something stays, or happens at all."""
