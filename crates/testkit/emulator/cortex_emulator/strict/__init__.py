"""Rules that AWS enforces and moto does not."""
