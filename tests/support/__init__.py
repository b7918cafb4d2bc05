"""Typed stand-ins for what tests cannot have here: hosts, wheels, machines. Real code runs against them."""
