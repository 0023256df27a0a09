"""Arithmetic on plain arrays. Imports nothing of ours."""
