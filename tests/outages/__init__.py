"""What the readers deliver while nodes of a real cluster die, stand still, come back and join.

`rows` is the table of what happens, `readers` that of who reads meanwhile. All readers of a row
run at the same time, each in a process of its own that reads one epoch after the other
(`epochs`), from before it happens until all is well again (`trial`), and `table` writes what
came of it. A row claims: every epoch is complete, nothing comes twice, nothing is wrong.
"""
