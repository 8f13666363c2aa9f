"""The readers: a small function for each, in modules by whose library it is.

Every function takes a `benchmarks.job.Job`, begins with nothing but addresses (where a library
lists objects, the listing is part of it), and yields the bytes of each item when it has it. A
module is imported in the processes of its own readers only.
"""
