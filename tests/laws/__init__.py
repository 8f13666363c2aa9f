"""Laws of the datasets, held against a small model by random cases.

A `Case` is plain data: shards, a world, options, and a plan of what is done with the datasets.
The model (`laws.model`) knows what every shard holds, because the suite wrote it. The laws:

====  ==========================================================================================
a     Over all ranks and workers every sample comes exactly once in an epoch; with ``"pad"`` some
      come again, as many as equal steps need, with ``"drop"`` as many are left out.
b     Workers of the same number make equally many steps in all ranks, whatever is skipped.
c     Stopped, saved and resumed anywhere: head and tail are the sequence without a stop.
d     Merged into another world: heads and tails together are every sample exactly once.
e     What is skipped is what ``skipped_urls`` and the counters say, and nothing else is missing.
f     The same seed gives the same order, another epoch another one.
g     Content that an ``on_error`` function gives comes in place of what could not be read.
h     A cluster error while shards are counted raises; it makes no epoch empty or short.
i     ``max_errors`` failures are tolerated, and not one more.
j     A state that was loaded is used for one epoch; the next one is whole.
l     Without `set_epoch` a shuffled dataset goes on by itself: one rank alone to the next epoch; of
      several, each has its samples again, in another order, however often it begins a pass.
k     Every error is an `AISPipeError`, and comes only where the case gives a reason.
====  ==========================================================================================

Where samples are read by index, a sampler deals them to the ranks (`laws.by_index`), and where
pipes shuffle references, ``sharding_filter`` does (`laws.chains`): what comes follows from that.

A new dataset joins by an adapter (`laws.adapters`). Every case is made of one number, its seed.
The environment of ``pytest tests/test_laws.py`` chooses others than those of every run:
``LAWS_MINUTES`` for as long as one likes, ``LAWS_SEED`` the first one, ``LAWS_KINDS`` of some
adapters, ``LAWS_CASE`` (JSON, printed with every finding) a single, reduced one.
"""
