"""Parsers under random and damaged input: the right result, or a clear error; never a hang.

A module for each: `urls`, `archives`, `batches` and `states`. Each returns or has a law, a test of
hypothesis; `hunting` looks for what breaks one, for as long as one likes.
"""
