# ruff: noqa: UP031
"""What one Python says about itself: run as a script in the target, or imported by the Python that runs us.

Standard library only, and no syntax that Python 2.7 lacks: an old Python must be able to say that it is too old.
"""

import os
import struct
import sys
import sysconfig

#: Printed around the answer, which may stand between whatever a sitecustomize or a .pth file prints.
MARKER = "--pascal-install-probe--"

_is_pypy = hasattr(sys, "pypy_version_info")
_libc = ""
if sys.platform.startswith("linux"):
    try:
        _libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        _libc = ""
    if not _libc:
        # musl answers no confstr; the loader that the executable asks for stands near the start of the file.
        try:
            with open(sys.executable, "rb") as _file:
                _libc = "musl" if b"/ld-musl-" in _file.read(4096) else ""
        except (IOError, OSError):  # noqa: UP024  two classes on Python 2.7
            _libc = ""

FACTS = {
    "executable": sys.executable,
    "implementation": getattr(getattr(sys, "implementation", None), "name", "pypy" if _is_pypy else "cpython"),
    "version": list(sys.version_info[:3]),
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "debug": hasattr(sys, "gettotalrefcount"),
    "pointer_bits": struct.calcsize("P") * 8,
    "platform": sysconfig.get_platform(),
    "libc": _libc,
    "prefix": sys.prefix,
    "base_prefix": getattr(sys, "base_prefix", getattr(sys, "real_prefix", sys.prefix)),
    "purelib": sysconfig.get_path("purelib"),
    "platlib": sysconfig.get_path("platlib"),
    "scripts": sysconfig.get_path("scripts"),
    "stdlib": sysconfig.get_path("stdlib"),
}

if __name__ == "__main__":
    import json

    # Not through sys.stdout, which a sitecustomize may have replaced or taken away.
    if sys.stdout:
        sys.stdout.flush()
    os.write(1, ("\n%s\n%s\n%s\n" % (MARKER, json.dumps(FACTS), MARKER)).encode("ascii"))
