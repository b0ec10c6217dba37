"""Reads delimited text as numbered rows; `reader` is the entry point.

`dialect` finds delimiter and quote, or takes the declared ones; `header` finds the header; `declared` refuses a file
that is not as declared; `blank_lines` says which lines are no rows. `syntax.Plan` is what all readers of records get.
"""
