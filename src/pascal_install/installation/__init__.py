"""The only room that changes an environment: fetch first, journal, change offline, verify, and the way back."""
