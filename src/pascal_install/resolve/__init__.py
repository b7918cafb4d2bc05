"""Decide which wheels run on a machine: a pure function from facts to a plan."""
