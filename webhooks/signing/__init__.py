"""Proving who sent a delivery, and keeping what proves it secret."""
