"""Looks at environments, one a line of stdin: what two processes say, what one says, and whether there were two.

Run as a program: the fork that is tested is only made where there are no threads, and pytest has some.
"""

from __future__ import annotations

import json
import os
import sys
from types import SimpleNamespace
from typing import Any

from pascal_install.installation import whole
from pascal_install.installation.state import problem, read_environment
from pascal_install.read_json import read_json


def main() -> None:
    """Answer, line by line."""
    copies: list[int] = []
    os.register_at_fork(after_in_parent=lambda: copies.append(1))
    sure: list[bool] = []
    patched: Any = whole
    look = patched.both

    def recorded(check: Any) -> bool:
        sure.append(look(check))
        return sure[-1]

    patched.both, patched._MANY = recorded, 0
    for line in sys.stdin:
        copies.clear()
        sure.clear()
        site, kept, user = json.loads(line)
        target: Any = SimpleNamespace(purelib=site, platlib=site)
        here = [one for several in read_environment(target).found.values() for one in several]
        if kept is None:
            listed = {one.folder: whole.listing(one) for one in here}
            print(json.dumps(listed), flush=True)
            continue
        read = read_json(json.dumps(kept))
        listed_again = [whole.Listed(*fields) for one in here for fields in read[one.folder]]
        if user:
            os.seteuid(user)
        answer = {
            "two": whole.are_whole(here, listed_again),
            "sure": sure[:1],
            "one": not any(map(problem, here)),
            "copies": len(copies),
        }
        if user:
            os.seteuid(0)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
