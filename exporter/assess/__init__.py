"""Scores: what each container is doing to others and to itself."""
