"""HTTP: accept a file or a request, look a job up, hand a file back. It never runs an import or an export itself.

`app` is the parts list. Two families of clients are served, each in its own words: `customers` and `accounts` (paths
without prefix), `imports` and `exports` (under /api/v1 and /v1).
"""
