"""What goes wrong: counted in the process, and told as signals that rules may listen to."""
