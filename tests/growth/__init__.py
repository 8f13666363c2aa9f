"""What a sample costs as a data set grows: run as ``python -m growth``, or ``make growth``.

`steps` measures, on a real cluster that is filled with ever more objects; `page` writes the
figures to ``docs/growth.json``, and a table and a chart of them beside it.
"""
