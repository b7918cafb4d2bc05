"""The catalogue kept current: what the indexes publish now, held against what is recorded."""
