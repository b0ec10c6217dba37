"""The object store: client, objects, streams, buckets; knows nothing about the meaning of objects."""
