"""The queue of deliveries, emptied: hundreds in flight from one process."""
