"""Distributed: which part of the work is this process's."""
