"""Runs imports and exports from beginning to end, and plans when each starts; knows neither Dagster nor HTTP."""
