"""All readers under random faults, for as long as one likes: every epoch exact, nothing grows.

`weather` draws what goes wrong in an epoch, by a seed; `readers` is the table of who reads;
`trainer` is the process that reads all the epochs, as a training does, and says how much it holds
after each; `session` runs both, and `report` says what came of it.
"""
