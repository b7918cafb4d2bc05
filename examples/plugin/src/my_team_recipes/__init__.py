"""Recipes of my team: the folder `packages` beside this file. pascal-install reads it, and imports nothing."""
