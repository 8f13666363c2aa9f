"""The connection to a cluster: one client for each process, and how it is let in."""
