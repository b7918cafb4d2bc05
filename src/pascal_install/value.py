"""Named tuples as `typing` has them, without `typing`: importing that costs as much as starting Python does.

To a type checker `NamedTuple` here is typing's own. At run time it is a base class that makes the same of a class body:
fields with defaults, by place or by name, `_replace`, `_make`, `_asdict`. Modules that use it say
`from __future__ import annotations`, so that the types of fields need not be there at run time either.
"""

from __future__ import annotations

TYPE_CHECKING = False
"""What type checkers take for true; `typing`'s own, without `typing`."""

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple  # noqa: PLC0414  so that it may be imported from here
else:
    try:
        from _collections import _tuplegetter as _field
    except ImportError:  # an implementation without CPython's own

        def _field(place, doc):
            return property(lambda self: self[place], doc=doc)

    class NamedTuple(tuple):
        """A frozen value with named fields; a subclass lists them with their types."""

        __slots__ = ()
        _fields = ()
        _field_defaults = {}  # noqa: RUF012  each subclass has its own

        def __init_subclass__(cls):
            """Make fields of what a class body annotates."""
            cls._fields = cls.__match_args__ = fields = tuple(cls.__annotations__)
            cls._field_defaults = {name: cls.__dict__[name] for name in fields if name in cls.__dict__}
            for place, name in enumerate(fields):
                setattr(cls, name, _field(place, None))

        def __new__(cls, *values, **named):
            """Take the fields by place, then by name; those left out have their defaults."""
            if named or len(values) != len(cls._fields):
                values = (*values, *cls._rest(len(values), named))
            return tuple.__new__(cls, values)

        @classmethod
        def _rest(cls, given, named):
            """Give the fields behind the first `given` ones."""
            left = cls._fields[given:]
            values = {**cls._field_defaults, **named}
            missing = [name for name in left if name not in values]
            strange = [name for name in named if name not in left]
            if missing or strange or given > len(cls._fields):
                message = f"{cls.__name__}: {given} values by place; missing: {missing}, not among the rest: {strange}"
                raise TypeError(message)
            return [values[name] for name in left]

        @classmethod
        def _make(cls, values):
            """Make one of all its fields, in order."""
            made = tuple.__new__(cls, values)
            if len(made) != len(cls._fields):
                raise TypeError(f"{cls.__name__}: expected {len(cls._fields)} values, found {len(made)}")
            return made

        def _replace(self, **changed):
            """Make the same with some fields changed."""
            made = tuple.__new__(type(self), map(changed.pop, self._fields, self))
            if changed:
                raise ValueError(f"{type(self).__name__} has no fields {list(changed)}")
            return made

        def _asdict(self):
            """Give the fields by name."""
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self):
            fields = ", ".join(f"{name}={value!r}" for name, value in self._asdict().items())
            return f"{type(self).__name__}({fields})"

        def __getnewargs__(self):
            return tuple(self)
