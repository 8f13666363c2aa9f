"""Packing: files into tar shards of whole samples, and back."""
