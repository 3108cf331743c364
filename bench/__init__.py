"""Benches: each prints a table with its machine, its seed and its ratios, and asserts no bound."""
