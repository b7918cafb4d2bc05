"""Which torch an extension runs with, as the catalogue writes it."""

from __future__ import annotations

from pascal_install.model.cuda import ANY

#: In place of a torch version: nobody has said yet which one it is. It matches none.
UNKNOWN = "unknown"

_Version = tuple[int, ...]


def torch_matches(wanted: str, version: str) -> bool:
    """Tell whether a torch version, without local part, is one that an extension runs with.

    `wanted` is `2.6.0` (exactly that), `2.6.*` (any patch of that minor version: the C++ ABI of torch is kept within
    one), or bounds such as `>=2.4` and `>=2.4,<3`. Raises ValueError for anything else. A version that is no release,
    such as a nightly one, is within no bounds.
    """
    if is_exact(wanted):
        return version == wanted
    least, below = _bounds(wanted)
    try:
        number = _number(version)
    except ValueError:
        return False
    return least <= number and (not below or number < below)


def is_exact(wanted: str) -> bool:
    """Tell whether only one torch version is meant."""
    return not ("*" in wanted or wanted[:1] in ("<", ">"))


def check_torch(wanted: str) -> None:
    """Raise ValueError for what `torch_matches` cannot read; UNKNOWN is allowed."""
    if wanted == UNKNOWN:
        return
    if is_exact(wanted):
        _number(wanted)
    else:
        _bounds(wanted)


def variant_matches(wanted: str, variant: str) -> bool:
    """Tell whether a CUDA variant is wanted: `cu124` is that, `cu12x` all of CUDA 12, `any` every one but `cpu`."""
    if wanted == ANY:
        return variant != "cpu"
    return variant == wanted or (wanted.endswith("x") and variant[:-1] == wanted[:-1])


#: What was read: the same few texts are asked for of every torch.
_READ: dict[str, tuple[_Version, _Version]] = {}


def _bounds(wanted: str) -> tuple[_Version, _Version]:
    found = _READ.get(wanted)
    if found is None:
        found = _READ[wanted] = _read_bounds(wanted)
    return found


def _read_bounds(wanted: str) -> tuple[_Version, _Version]:
    """Give the least version, and the first that is too new; either may be empty."""
    if wanted.endswith(".*"):
        least = _number(wanted[:-2])
        return least, (*least[:-1], least[-1] + 1)
    bounds: dict[str, _Version] = {}
    for part in wanted.split(","):
        operator = ">=" if part.startswith(">=") else "<" if part.startswith("<") and part[1:2] != "=" else ""
        if not operator or operator in bounds:
            raise ValueError(f"not versions of torch: {wanted!r} (expected a form like 2.6.0, 2.6.* or >=2.4,<3)")
        bounds[operator] = _number(part.removeprefix(operator))
    return bounds.get(">=", ()), bounds.get("<", ())


def _number(version: str) -> _Version:
    parts = version.split(".")
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"not a version of torch: {version!r} (expected a form like 2.6.0)")
    return tuple(int(part) for part in parts)
