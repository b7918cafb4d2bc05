"""What the world publishes, read from TOML that people review and from the compiled form of it."""
