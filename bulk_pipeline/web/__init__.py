"""Fetching files from untrusted URLs and posting to webhooks, without access to the internal network."""
