"""Manifests: which objects there are, listed once for a job."""
