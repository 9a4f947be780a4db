"""Carrying out what is due: claims, attempts, queues, and what is forgotten afterwards."""
