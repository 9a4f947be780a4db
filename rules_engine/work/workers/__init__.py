"""What is known of workers: their signs of life, and the connections that they need."""
