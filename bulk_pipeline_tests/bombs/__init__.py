"""Hostile files of every format, which cost far more than their bytes suggest, and their cost on a running stack."""
