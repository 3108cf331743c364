"""Connections to the outside: which proxy, which certificates. Every client of the project uses this."""
