"""Data to try things with: files for every table, good and bad, and what must come of them."""
