"""From a Django signal to an event."""
