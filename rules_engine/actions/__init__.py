"""What rules can do: the contract, the registry, and one module for each built-in kind."""
