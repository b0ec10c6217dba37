"""Shared parts of tests: servers, pipelines, proxies and examples; no tests."""
