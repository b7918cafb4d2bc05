"""Real uv and real pip find out what is missing: the same, and pip alone where uv cannot be sure of that."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pascal_install.errors import InstallerError, NetworkError
from pascal_install.installation.backend import Pip, choose_pip, choose_uv
from pascal_install.installation.execute import Options, execute
from pascal_install.installation.selection import Selected, select, working
from pascal_install.installation.state import read_environment
from support.installs import TORCH_INDEX, Recorder, World, make_world
from support.mirror import Mirror
from support.wheels import make_module_stub, make_wheel, wheel_filename

ANY = "py3-none-any"
HTML = {"Content-Type": "text/html"}


@pytest.fixture
def world(tmp_path: Path, mirror: Mirror) -> World:
    return make_world(tmp_path, mirror)


def options_of(world: World, more: Mapping[str, str]) -> Options:
    environ = {**world.environ, "UV_CACHE_DIR": str(world.root / "uv-cache"), **more}
    return world.options._replace(installer="uv", environ=environ)


def found_by(world: World, *, pip: bool, uv: bool, **more: str) -> list[Selected]:
    """Find what is missing with pip, with uv, or with both; who has no say fails as a command."""
    options, target = options_of(world, more), world.plan.target
    asked = choose_pip(target, options.environ) if pip else Pip(("false",), options.environ)
    with working(
        world.plan,
        read_environment(target),
        options,
        Recorder(),
        asked,
        uv=choose_uv(target, options.environ) if uv else None,
    ) as work:
        return sorted(select(work))


def plain(selected: list[Selected]) -> list[tuple[str, str, str, str]]:
    return [(one.name, one.version, one.file.sha256, one.file.urls[0].partition("#")[0]) for one in selected]


def agree(world: World, **more: str) -> list[Selected]:
    """Ask uv alone and pip alone."""
    by_uv = found_by(world, pip=False, uv=True, **more)
    assert plain(by_uv) == plain(found_by(world, pip=True, uv=False, **more))
    return by_uv


def installed(world: World, name: str, version: str, requires: Sequence[str] = ()) -> None:
    path = world.root / wheel_filename(name, version, ANY)
    path.write_bytes(make_module_stub(name, version, requires))
    world.pip("install", "--quiet", "--no-deps", "--no-index", "--force-reinstall", str(path))


def test_a_fresh_environment(world: World) -> None:
    found = agree(world)
    assert len(found) == 26
    assert {one.index_url for one in found if one.name == "nvidia-cudnn-cu12"} == {TORCH_INDEX}


def test_what_is_installed_and_good_stays(world: World) -> None:
    world.mirror.add_pypi(wheel_filename("networkx", "0.9", ANY), make_module_stub("networkx", "0.9"))
    installed(world, "networkx", "0.9")
    assert "networkx" not in [one.name for one in agree(world)]


def test_what_is_installed_and_too_old_is_replaced(world: World) -> None:
    installed(world, "safetensors", "0.1")
    installed(world, "nvidia-cudnn-cu12", "8.0")
    found = {one.name: one.version for one in agree(world)}
    assert (found["safetensors"], found["nvidia-cudnn-cu12"]) == ("0.4.3", "9.1.0.70")


def test_what_is_installed_and_broken_comes_again(world: World) -> None:
    installed(world, "networkx", "1.0")
    (world.site / "networkx/__init__.py").unlink()
    assert ("networkx", "1.0") in [(one.name, one.version) for one in agree(world)]


def test_a_second_index(world: World) -> None:
    world.mirror.add_file("more.example", "networkx/networkx-7.0-py3-none-any.whl", make_module_stub("networkx", "7.0"))
    page = b'<a href="networkx-7.0-py3-none-any.whl">networkx-7.0-py3-none-any.whl</a>'
    world.mirror.add_page("more.example", "networkx/", page, HTML)
    found = agree(world, PIP_EXTRA_INDEX_URL=world.mirror.base("more.example"))
    assert {one.name: one.version for one in found}["networkx"] == "7.0"


def test_a_folder_of_wheels(world: World, tmp_path: Path) -> None:
    """uv is asked, and what it finds in the folder is left to pip."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / "networkx-7.0-py3-none-any.whl").write_bytes(make_module_stub("networkx", "7.0"))
    with pytest.raises(InstallerError):
        found_by(world, pip=False, uv=True, PIP_FIND_LINKS=str(folder))
    found = found_by(world, pip=True, uv=True, PIP_FIND_LINKS=str(folder))
    assert {one.name: one.version for one in found}["networkx"] == "7.0"


@pytest.mark.parametrize("name", ["PIP_CONSTRAINT", "PIP_PRE", "PIP_UPLOADED_PRIOR_TO"])
def test_settings_that_only_pip_follows_are_left_to_pip(world: World, tmp_path: Path, name: str) -> None:
    constraint = tmp_path / "constraint.txt"
    constraint.write_text("networkx<1\n")
    world.mirror.add_pypi(wheel_filename("networkx", "0.9", ANY), make_module_stub("networkx", "0.9"))
    setting = {name: {"PIP_CONSTRAINT": str(constraint), "PIP_PRE": "1"}.get(name, "2030-01-01")}
    with pytest.raises(InstallerError):
        found_by(world, pip=False, uv=True, **setting)
    if name == "PIP_CONSTRAINT":
        found = found_by(world, pip=True, uv=True, **setting)
        assert {one.name: one.version for one in found}["networkx"] == "0.9"


def test_an_installed_version_that_no_index_has_is_left_to_pip(world: World) -> None:
    installed(world, "networkx", "0.5")
    with pytest.raises(InstallerError):
        found_by(world, pip=False, uv=True)
    assert "networkx" not in [one.name for one in found_by(world, pip=True, uv=True)]


def test_what_an_installed_one_requires_beyond_the_published_one_is_left_to_pip(world: World) -> None:
    world.mirror.add_pypi(wheel_filename("fsspec", "0.5", ANY), make_module_stub("fsspec", "0.5"))
    world.mirror.add_pypi(wheel_filename("more", "1.0", ANY), make_module_stub("more", "1.0"))
    installed(world, "networkx", "1.0", requires=("more", "fsspec<1"))
    with pytest.raises(InstallerError):
        found_by(world, pip=False, uv=True)
    found = {one.name: one.version for one in found_by(world, pip=True, uv=True)}
    assert (found["more"], found["fsspec"]) == ("1.0", "0.5")


@pytest.mark.parametrize(
    "folder",
    [
        b"caf\xe9-1.0.dist-info",
        b"x-1.0'\n[[packages]]\nname = 'networkx'\nversion = '0.9.dist-info",
        b"weird-2004d.dist-info",
        b"no_version.egg-info",
    ],
)
def test_folders_with_strange_names(world: World, folder: bytes) -> None:
    """Other bytes than UTF-8, TOML, no version: none stops uv, and none tells it anything."""
    world.mirror.add_pypi(wheel_filename("networkx", "0.9", ANY), make_module_stub("networkx", "0.9"))
    os.mkdir(os.path.join(os.fsencode(world.site), folder))
    assert {one.name: one.version for one in found_by(world, pip=False, uv=True)}["networkx"] == "1.0"


def test_a_wheel_that_this_python_is_too_new_for(world: World) -> None:
    """uv overlooks the upper bound; pip does not."""
    older, newer = (
        make_module_stub("networkx", "7.0"),
        make_wheel("networkx", "8.0", metadata=["Requires-Python: <3.9"]),
    )
    world.mirror.add_pypi(wheel_filename("networkx", "7.0", ANY), older)
    world.mirror.add_pypi(wheel_filename("networkx", "8.0", ANY), newer, requires_python="<3.9")
    execute(world.plan, options_of(world, {}), Recorder())
    assert world.versions()["networkx"] == "7.0"


def test_a_pre_release_that_a_package_of_the_index_asks_for(world: World) -> None:
    """uv heeds only those that the pins ask for; pip takes it."""
    world.mirror.add_pypi(wheel_filename("networkx", "8.0", ANY), make_module_stub("networkx", "8.0", ["more>=1.0rc1"]))
    for version in ("1.0", "1.1rc1"):
        world.mirror.add_pypi(wheel_filename("more", version, ANY), make_module_stub("more", version))
    execute(world.plan, options_of(world, {}), Recorder())
    assert world.versions()["more"] == "1.1rc1"


def test_an_index_that_fails_is_worded_as_ever(world: World) -> None:
    world.mirror.fault("500", "*/networkx/*", times=None)
    with pytest.raises(NetworkError):
        found_by(world, pip=True, uv=True)


@pytest.mark.parametrize("href", ["file:///etc/networkx-9.0-py3-none-any.whl", "git+ssh://evil.example/networkx"])
def test_an_address_of_another_kind_never_comes_from_uv(world: World, href: str) -> None:
    world.mirror.add_page(
        "more.example", "networkx/", f'<a href="{href}">networkx-9.0-py3-none-any.whl</a>'.encode(), HTML
    )
    more = {"PIP_EXTRA_INDEX_URL": world.mirror.base("more.example")}
    try:
        found = found_by(world, pip=False, uv=True, **more)
    except InstallerError:
        return  # left to pip
    assert {urlsplit(one.file.urls[0]).scheme for one in found} == {"http", "https"}
