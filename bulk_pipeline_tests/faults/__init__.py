"""Faults in a running stack, and a checker that finds rows that were lost, duplicated or reported wrongly."""
