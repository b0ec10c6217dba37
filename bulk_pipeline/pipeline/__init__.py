"""Runs imports and exports from beginning to end, and plans when each starts; knows neither Dagster nor HTTP.

`intake` claims files and asks for runs, `planning` orders them; `import_steps` and `export_run` do the work of a job
while `job_hold` holds its lease; `second_chance` loads rows that lost their key to a refused row; `cleaning` deletes
what is old; `adoption` writes declarations, with what `simple_checks` finds in CHECK constraints.
"""
