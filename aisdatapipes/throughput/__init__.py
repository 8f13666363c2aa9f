"""Throughput: how fast a cluster feeds a ``DataLoader`` here, and what would make it faster."""

from aisdatapipes.throughput.advice import Advice, Machine, advise
from aisdatapipes.throughput.found import Found, find
from aisdatapipes.throughput.loaders import file_loader, sample_loader
from aisdatapipes.throughput.measuring import Row, measure

__all__ = [
    "Advice",
    "Found",
    "Machine",
    "Row",
    "advise",
    "file_loader",
    "find",
    "measure",
    "sample_loader",
]
