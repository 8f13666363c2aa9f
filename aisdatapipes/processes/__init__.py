"""Processes: what threads and processes of one job share."""
