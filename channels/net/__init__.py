"""The way out: through which proxy, trusting whom. Every client of the project goes this one way."""
