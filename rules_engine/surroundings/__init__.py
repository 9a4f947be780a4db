"""What a site's connection says besides its rows, such as a tenant's schema: told, stored, and entered again."""
