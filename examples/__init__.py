"""Actors of one's own, and tools: each file stands alone, for you to copy."""
