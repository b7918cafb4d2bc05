"""`python -m pascal_install` is the same as `pascal-install`."""

from __future__ import annotations

from pascal_install.cli.main import run

if __name__ == "__main__":
    run()
