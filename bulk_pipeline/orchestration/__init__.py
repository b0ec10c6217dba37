"""Dagster's view: ops, the job, sensors, resources, and what they pass on. No rule about data lives here."""
