"""Sample data: files for every table, with good and bad rows, and the results that imports must have."""
