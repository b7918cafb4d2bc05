"""Readers of shared libraries, wheels' containers and device code. They see bytes, never paths."""
