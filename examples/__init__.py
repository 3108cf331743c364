"""Example actors and tools. Each file stands alone, so you can copy it."""
