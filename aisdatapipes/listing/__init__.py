"""Listing: the names in a bucket, page by page."""
