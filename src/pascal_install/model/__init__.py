"""Frozen values that every part speaks in.

They are named tuples, not dataclasses: importing `dataclasses` alone costs more than the whole of `plan` may take.

Their modules leave out `from __future__ import annotations`: with it, a field's type is text, which NamedTuple compiles
again at import, twice the cost of making the class.
"""
