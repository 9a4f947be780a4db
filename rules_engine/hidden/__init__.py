"""Fields whose value is a secret by how it is stored, and what is told in its place."""
