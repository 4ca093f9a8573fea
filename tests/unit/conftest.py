"""Settings of all unit tests."""

from hypothesis import settings

# A machine that does other things too is no reason for a test to fail.
settings.register_profile("unit", deadline=None, print_blob=True)
settings.load_profile("unit")
