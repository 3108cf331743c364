"""`python runner.py serve`: a worker that LiveKit gives rooms to."""
