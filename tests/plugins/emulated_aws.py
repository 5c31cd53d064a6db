"""The emulated AWS as the plugins' tests have it."""

#: The bucket of the targets in tests.
BUCKET = "acme-ml"
