"""Trainers with the real libraries: what every rank reads, counted."""
