"""What several test modules use: proxies, clusters, archives, processes."""
