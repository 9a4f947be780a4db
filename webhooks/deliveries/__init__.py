"""One delivery without its network: its body, its headers, and what an answer means."""
