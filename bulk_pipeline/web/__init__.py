"""Fetching files from untrusted URLs, without access to the internal network."""
