"""Dagster's ops, jobs, sensors and resources. Rules about data are elsewhere."""
