"""Proposals from a file, each with its evidence: settings of an upload format, and a table that does not exist yet."""
