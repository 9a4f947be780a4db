"""What database triggers have written down, and which triggers there are."""
