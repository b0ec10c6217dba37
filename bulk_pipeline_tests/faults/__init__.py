"""Faults in a running stack, and a checker that tells whether a row was lost, doubled or told wrongly."""
