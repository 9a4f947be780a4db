"""What time does, by workers: asking again whether a condition holds, and looking for what is due."""
