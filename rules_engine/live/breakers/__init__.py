"""The breaker of rules: one that keeps failing is paused by itself, and somebody is told."""
