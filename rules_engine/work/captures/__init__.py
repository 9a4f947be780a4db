"""What triggers have captured, told to rules by workers."""
