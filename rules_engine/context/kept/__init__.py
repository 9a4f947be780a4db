"""How an event's context is kept in its row, where columns say a part of it."""
