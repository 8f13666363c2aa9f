"""Reading: objects fetched ahead of their consumer, whole, in batches or as streams."""
