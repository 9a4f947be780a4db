"""What is known of rules that keep failing, and which trouble stands."""
