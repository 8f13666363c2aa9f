"""The libraries that read and write AIStore through this package, as their users do."""
