"""Writing: objects into the cluster, whole or not at all."""
