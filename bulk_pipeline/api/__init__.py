"""The HTTP API: accept a file or a request, look up a job, return a file. Imports and exports run in Dagster, not here.

`app` puts the parts together. Two families of clients are served, each with its own paths and forms of errors:
`customers` and `accounts` (paths without prefix), `imports` and `exports` (under /api/v1 and /v1).
"""
