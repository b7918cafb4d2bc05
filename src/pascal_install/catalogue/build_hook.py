"""Hatchling's hook: the wheel carries the compiled catalogue, made from the TOML that ships beside it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledCatalogue(BuildHookInterface[Any]):
    """Adds `pascal_install/_catalogue/*.json` to a wheel; an editable install compiles into the cache instead."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile into a folder of its own, and name the files to take from there."""
        self._folder = ""
        if version == "editable":
            return
        sys.path.insert(0, os.path.join(self.root, "src"))
        try:
            from pascal_install.catalogue.compile import compile_data
            from pascal_install.catalogue.decode import decode
            from pascal_install.catalogue.locate import COMPILED
        finally:
            sys.path.pop(0)
        self._folder = tempfile.mkdtemp(prefix="pascal-install-catalogue-")
        for name, content in compile_data(decode(os.path.join(self.root, "resolver_data"))).items():
            path = os.path.join(self._folder, name)
            with open(path, "wb") as file:
                file.write(content)
            build_data["force_include"][path] = f"pascal_install/{COMPILED}/{name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove the folder."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
