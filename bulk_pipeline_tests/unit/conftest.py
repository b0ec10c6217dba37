"""Settings of the unit tests."""

from hypothesis import settings

# A busy machine is not a failure, and the first call of a schema is slow.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")
