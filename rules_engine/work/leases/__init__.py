"""What is due, and leasing it to a worker."""
