"""Locks and wheelhouses: what we write, pip and uv install; what others write, we read with care."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
from packaging.pylock import Pylock

from pascal_install.errors import DataError, NetworkError, UnsatisfiableError
from pascal_install.facts.tags import describe_platform
from pascal_install.fetch import Fetcher
from pascal_install.installation.execute import execute
from pascal_install.installation.lock_reading import Locked, check_fits, parse_lock, read_lock
from pascal_install.installation.locking import download, lock
from pascal_install.model.address import mirrored
from pascal_install.model.build import Catalogue, CudaTables, VariantFacts
from pascal_install.model.cuda import ComputeCapability, CudaVersion, DriverVersion
from pascal_install.model.gpu import Driver, GpuDevice, HostFacts
from support.installs import Recorder, World, fresh_venv, make_world
from support.mirror import Mirror
from support.wheels import make_module_stub, wheel_filename

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CU124 = VariantFacts("cu124", CudaVersion(12, 4), DriverVersion.parse("525.60.13"), DriverVersion.parse("528.33"), "x")


TABLES = Catalogue({}, CudaTables((CU124,), (), (), ()), "2026-11-23")


@pytest.fixture
def world(tmp_path: Path, mirror: Mirror) -> World:
    return make_world(tmp_path, mirror)


def machine(capability: str = "6.1", driver: str = "580.95.05") -> HostFacts:
    gpu = GpuDevice(0, "GPU", ComputeCapability.parse(capability), source="--gpu")
    return HostFacts("linux", "x86_64", (gpu,), Driver(DriverVersion.parse(driver), None, "--driver"))


def read(world: World, path: Path, host: HostFacts | None = None) -> Locked:
    lock_read = parse_lock(path.read_text(), str(path))
    return read_lock(lock_read, str(path), world.plan.target, host or machine(), TABLES)


def test_the_same_plan_gives_the_same_bytes_and_every_file_its_hash(world: World) -> None:
    hooks = Recorder()
    text = lock(world.plan, world.options, hooks)
    assert text == lock(world.plan, world.options)
    assert hooks.phases.count("first-use") == 1  # exllamav2: GitHub tells no hash
    found = Pylock.from_dict(tomllib.loads(text))
    assert found.to_dict() == tomllib.loads(text)
    packages = {str(package.name): package for package in found.packages}
    assert len(packages) == 26
    assert packages["nvidia-cudnn-cu12"].index == f"{world.mirror.base('download.pytorch.org')}/whl/cu124"
    assert packages["numpy"].index == world.mirror.pypi_url
    assert packages["exllamav2"].index is None
    torch = (packages["torch"].wheels or [])[0]
    assert torch.url == mirrored(world.plan.pins[0].build.wheel.url, world.mirror.mirrors)
    assert torch.hashes["sha256"] == world.plan.pins[0].build.wheel.sha256


def test_a_lock_looks_past_what_is_installed(world: World) -> None:
    execute(world.plan, world.options)
    assert len(Pylock.from_dict(tomllib.loads(lock(world.plan, world.options))).packages) == 26


def test_a_wheelhouse_installs_without_any_network(world: World) -> None:
    house = world.root / "house"
    names = download(str(house), world.plan, world.options)
    assert len(names) == 26
    world.mirror.close()
    locked = read(world, house / "pylock.toml")
    check_fits(locked, "pylock.toml", TABLES)
    options = world.options._replace(
        selected=locked.selected, offline=True, make_fetcher=lambda: Fetcher(offline=True), mirrors=()
    )
    outcome = execute(locked.plan, options)
    assert outcome.status == "installed"
    assert outcome.verification is not None
    assert outcome.verification.imports == ("torch", "exllamav2")
    assert execute(locked.plan, options).status == "in-place"
    assert world.pip("check").returncode == 0


@pytest.mark.parametrize("how", ["pip-requirements", "pip-lock", "uv-lock"])
def test_pip_and_uv_install_from_a_wheelhouse(world: World, how: str) -> None:
    import subprocess

    house = world.root / "house"
    download(str(house), world.plan, world.options)
    own = [sys.executable, "-m", "pip", "--python", str(world.python), "install", "--no-deps"]
    commands = {
        "pip-requirements": [*own, "--no-index", "--find-links", str(house), "-r", str(house / "requirements.txt")],
        "pip-lock": [*own, "-r", str(house / "pylock.toml")],
        "uv-lock": [
            *(sys.executable, "-m", "uv", "pip", "install", "--python", str(world.python)),
            *("--preview", "-r", str(house / "pylock.toml")),
        ],
    }
    done = subprocess.run(commands[how], check=False, capture_output=True, text=True, env=world.environ)
    assert done.returncode == 0, done.stderr
    assert world.imports("torch", "exllamav2")


def test_a_damaged_file_of_a_wheelhouse_is_not_installed(world: World) -> None:
    house = world.root / "house"
    download(str(house), world.plan, world.options)
    with next(house.glob("numpy*")).open("ab") as file:
        file.write(b"x")
    locked = read(world, house / "pylock.toml")
    options = world.options._replace(selected=locked.selected, offline=True)
    with pytest.raises(Exception, match="is not the file that was chosen") as caught:
        execute(locked.plan, options)
    assert getattr(caught.value, "exit_code", 0) == 9
    assert "torch" not in world.versions()


def test_a_lock_installs_from_its_addresses_and_resolves_nothing(world: World) -> None:
    path = world.root / "pylock.toml"
    path.write_text(lock(world.plan, world.options))
    world.mirror.forget()
    locked = read(world, path)
    second = world._replace(python=fresh_venv(world.root / "second"))
    from pascal_install.facts.interpreter import find_target

    target = find_target(str(second.python), environ=world.environ, cwd=str(world.root))
    plan = locked.plan._replace(target=target)
    assert execute(plan, world.options._replace(selected=locked.selected)).status == "installed"
    assert second.imports("torch", "exllamav2")
    assert not [request for request in world.mirror.requests if request.path.endswith("/")]


def test_what_does_not_fit_is_named(world: World) -> None:
    path = world.root / "pylock.toml"
    path.write_text(lock(world.plan, world.options))
    with pytest.raises(UnsatisfiableError) as caught:
        check_fits(read(world, path, machine("12.0", "470.256.02")), "pylock.toml", TABLES)
    assert "torch 2.6.0+cu124: needs code for sm_120 (GPU), found sm_50" in caught.value.cause
    assert "needs driver 525.60.13 or newer for cu124, found driver 470.256.02" in caught.value.cause
    other = describe_platform("linux_x86_64", "3.9" if sys.version_info[1] != 9 else "3.10", "")
    with pytest.raises(UnsatisfiableError, match="is not for Python 3"):
        read_lock(parse_lock(path.read_text(), str(path)), str(path), other, machine(), TABLES)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('lock-version = "1.0"', 'lock-version = "9.9"'),
        ("[[packages]]", "[packages"),
        ('url = "http://', 'url = "git+ssh://'),
        ('url = "http://', 'url = "file:///'),
        ('url = "http:/', 'path = "../../etc'),
        ("architectures = [", "architectures = [1, "),
        ("sha256", "md5"),
    ],
)
def test_a_hostile_lock_is_refused(world: World, old: str, new: str) -> None:
    text = lock(world.plan, world.options)
    assert old in text
    path = world.root / "pylock.toml"
    path.write_text(text.replace(old, new))
    with pytest.raises(DataError):
        read(world, path)


def test_another_hash_in_the_lock_is_found_out(world: World) -> None:
    path = world.root / "pylock.toml"
    text = lock(world.plan, world.options)
    torch = world.plan.pins[0].build.wheel.sha256
    path.write_text(text.replace(torch, hashlib.sha256(b"other").hexdigest()))
    locked = read(world, path)
    with pytest.raises(Exception, match="not the file that was expected"):
        execute(locked.plan, world.options._replace(selected=locked.selected, cache_dir=str(world.root / "other")))
    assert "torch" not in world.versions()


def test_a_lock_for_another_python(world: World) -> None:
    target = describe_platform("linux_x86_64", "3.12", "")
    text = lock(world.plan._replace(target=target), world.options)
    assert len(Pylock.from_dict(tomllib.loads(text)).packages) == 26


@pytest.mark.parametrize(
    ("platform", "expected"), [("linux_x86_64", {"only-there"}), ("win_amd64", {"only-there", "deeper"})]
)
def test_another_machine_gets_what_its_own_markers_ask_for(world: World, platform: str, expected: set[str]) -> None:
    """pip reads markers for the Python that runs it; the lock must not."""
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    there = "3.13" if here != "3.13" else "3.12"
    lines = [
        f"only-here; python_version == '{here}'",
        f"only-there; python_version == '{there}'",
    ]
    for name, requires in (
        ("only-here", []),
        ("only-there", [f"deeper; sys_platform == 'win32' and python_version == '{there}'"]),
        ("deeper", []),
        ("pygments", lines),
    ):
        wheel = make_module_stub(name, "9.0", requires)
        world.mirror.add_pypi(wheel_filename(name, "9.0", "py3-none-any"), wheel)
    target = describe_platform(platform, there, "")
    plan = world.plan._replace(target=target, pins=(), others=("pygments",))
    found = Pylock.from_dict(tomllib.loads(lock(plan, world.options)))
    assert {str(package.name) for package in found.packages} == {"pygments", *expected}


def test_offline_without_a_wheelhouse_says_what_is_missing(world: World) -> None:
    options = world.options._replace(offline=True, make_fetcher=lambda: Fetcher(offline=True))
    with pytest.raises(NetworkError, match="--offline"):
        execute(world.plan, options)
