"""Rules as data: which gates stop one, what can be said against it, what it may read; the contract of its actions."""
