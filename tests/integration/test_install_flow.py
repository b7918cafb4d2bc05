"""Real pip and real uv, small wheels from loopback, fresh venvs: what an install does, and what it leaves alone."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from pascal_install.errors import (
    InstallerError,
    NetworkError,
    PascalInstallError,
    TargetError,
    VerificationError,
)
from pascal_install.fetch import Fetcher
from pascal_install.installation.execute import execute
from pascal_install.installation.in_place import is_in_place
from pascal_install.installation.journal import journals
from pascal_install.installation.publication import NotPublishedError
from pascal_install.installation.rollback import forget, recover, rollback, way_back
from pascal_install.installation.state import read_environment
from support.environments import interpreter_of
from support.installs import (
    TAG,
    WRONG_LIBRARIES,
    WRONG_TORCH,
    Recorder,
    World,
    listing,
    make_world,
    usual_torch,
)
from support.mirror import Mirror
from support.wheels import (
    TORCH_CU124_LIBRARIES,
    make_extension_stub,
    make_module_stub,
    make_wheel,
    wheel_filename,
)


@pytest.fixture
def world(tmp_path: Path, mirror: Mirror) -> World:
    return make_world(tmp_path, mirror)


def no_fetcher() -> Fetcher:
    pytest.fail("nothing was to be fetched")


def with_wrong_torch(world: World) -> None:
    """What people come with."""
    world.pip("install", "--quiet", "torch")
    assert world.versions()["torch"] == WRONG_TORCH


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_a_fresh_environment_then_nothing_to_do(world: World, installer: str) -> None:
    hooks = Recorder()
    outcome = execute(world.plan, world.options._replace(installer=installer), hooks)
    assert outcome.status == "installed"
    assert outcome.verification is not None
    assert outcome.verification.imports == ("torch", "exllamav2")
    assert "sm_60" in outcome.verification.architectures
    assert hooks.steps == ["set-aside", "install", "verify", "committed"]
    whole = [
        one.path for one in world.mirror.requests if one.path.endswith(".whl") and one.method == "GET" and not one.range
    ]
    assert len(whole) == len(set(whole)) == 26, "pip must not download in a dry run what is then downloaded again"
    versions = world.versions()
    assert versions["torch"] == "2.6.0+cu124"
    assert versions["exllamav2"] == "0.3.2+cu124.torch2.6.0"
    assert versions["numpy"] == "1.0"
    assert world.pip("check").returncode == 0
    # The second run starts no child at all: a Python that cannot start would tell.
    broken = world.plan._replace(target=world.plan.target._replace(executable="/nowhere/python"))
    again = execute(broken, world.options._replace(make_fetcher=no_fetcher))
    assert again.status == "in-place"


def test_nvidia_libraries_come_from_torchs_index_and_the_rest_never_does(world: World) -> None:
    for line in TORCH_CU124_LIBRARIES:
        name, _, version = line.partition("==")
        trap = make_wheel(name, version, files={"trap.py": b""})
        world.mirror.add_pypi(wheel_filename(name, version, "py3-none-any"), trap)
    trap = make_wheel("exllamav2", "9.9", files={"trap.py": b""})
    world.mirror.add_pypi(wheel_filename("exllamav2", "9.9", "py3-none-any"), trap)
    execute(world.plan, world.options)
    assert not (world.site / "trap.py").exists()
    asked = {request.path for request in world.mirror.requests if request.host == "pypi.test"}
    assert not [path for path in asked if "nvidia" in path or "triton" in path or "/torch" in path or "exllama" in path]
    of_torch = {request.path for request in world.mirror.requests if request.host.startswith("download")}
    assert not [path for path in of_torch if "numpy" in path or "jinja2" in path]


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_a_wrong_torch_goes_with_its_own_libraries(world: World, installer: str) -> None:
    with_wrong_torch(world)
    before = listing(world.venv)
    hooks = Recorder()
    execute(world.plan, world.options._replace(installer=installer), hooks)
    kinds = {step.name: step.kind for step in hooks.changes[0].steps}
    assert kinds["torch"] == "replace"
    assert [kinds[line.partition("==")[0]] for line in WRONG_LIBRARIES] == ["remove", "remove"]
    assert not [name for name in world.versions() if "cu13" in name]
    # Both families ship this file; taking the old one away afterwards would have taken it from the new one.
    assert (world.site / "nvidia/cudnn/lib/libcudnn.so").read_text() == "nvidia-cudnn-cu12 9.1.0.70\n"
    back = way_back(world.plan.target)
    assert back is not None
    assert ("torch", "2.6.0+cu124", WRONG_TORCH) in back.steps
    assert back.kept_bytes > 0
    rollback(world.plan.target)
    assert listing(world.venv) == before
    assert way_back(world.plan.target) is None


def test_a_library_that_something_else_needs_stays(world: World) -> None:
    user = make_module_stub("needs-cublas", "1.0", ["nvidia-cublas-cu13"])
    world.mirror.add_pypi(wheel_filename("needs-cublas", "1.0", "py3-none-any"), user)
    world.pip("install", "--quiet", "torch", "needs-cublas")
    execute(world.plan, world.options)
    assert "nvidia-cublas-cu13" in world.versions()
    assert "nvidia-cudnn-cu13" not in world.versions()


def test_what_no_longer_fits_is_told_before(world: World) -> None:
    user = make_module_stub("torchvision", "0.30", [f"torch=={WRONG_TORCH}"])
    world.mirror.add_pypi(wheel_filename("torchvision", "0.30", "py3-none-any"), user)
    world.pip("install", "--quiet", "torchvision")
    hooks = Recorder()
    execute(world.plan, world.options, hooks)
    assert hooks.changes[0].conflicts == (f"torchvision 0.30 needs torch=={WRONG_TORCH}, and gets 2.6.0+cu124",)


def half_installed(world: World) -> None:
    """A pip that was killed while unpacking: files are missing, and the INSTALLER, which comes last."""
    info = world.site / "torch-2.6.0+cu124.dist-info"
    (info / "INSTALLER").unlink()
    (world.site / "torch/cuda/__init__.py").unlink()


def cut_file(world: World) -> None:
    (world.site / "torch/version.py").write_text("")


def two_metadata_folders(world: World) -> None:
    shutil.copytree(world.site / "torch-2.6.0+cu124.dist-info", world.site / "torch-2.15.0.dist-info")


def empty_metadata(world: World) -> None:
    for file in (world.site / "torch-2.6.0+cu124.dist-info").iterdir():
        file.unlink()
    (world.site / "torch/stale.py").write_text("of the version that was lost")


def record_of_nulls(world: World) -> None:
    """As a power cut may leave it."""
    record = world.site / "torch-2.6.0+cu124.dist-info/RECORD"
    record.write_bytes(bytes(record.stat().st_size))
    (world.site / "torch/stale.py").write_text("that only the lost RECORD would tell")


def empty_folder_of_the_old_version(world: World) -> None:
    """A uv that was killed in an upgrade: pip still lists the version that is gone."""
    (world.site / "torch-2.15.0.dist-info").mkdir()


def broken_dependency(world: World) -> None:
    (world.site / "numpy/__init__.py").unlink()


def leftovers(world: World) -> None:
    (world.site / "~orch").mkdir()
    (world.site / "~orch/__init__.py").write_text("half")


@pytest.mark.parametrize(
    "damage",
    [
        half_installed,
        cut_file,
        two_metadata_folders,
        empty_metadata,
        record_of_nulls,
        empty_folder_of_the_old_version,
        broken_dependency,
        leftovers,
    ],
)
def test_what_only_looks_installed_is_mended(world: World, damage: object) -> None:
    execute(world.plan, world.options)
    sound = listing(world.site)
    assert callable(damage)
    damage(world)
    assert listing(world.site) != sound
    assert execute(world.plan, world.options).status == "installed"
    compiled = ".pyc"
    assert {path: text for path, text in listing(world.site).items() if not path.endswith(compiled)} == {
        path: text for path, text in sound.items() if not path.endswith(compiled)
    }
    assert execute(world.plan, world.options._replace(make_fetcher=no_fetcher)).status == "in-place"


def test_what_is_kept_of_a_record_hides_no_damage(world: World) -> None:
    def finds_all() -> bool:
        target = world.plan.target
        return is_in_place(world.plan, read_environment(target), cache_dir=world.options.cache_dir)

    execute(world.plan, world.options)
    assert finds_all()
    (kept,) = Path(world.options.cache_dir, "in-place").iterdir()
    as_kept = kept.read_bytes()
    file, record = world.site / "torch/__init__.py", world.site / "torch-2.6.0+cu124.dist-info/RECORD"
    for path, damage in [
        (file, file.read_bytes()[:-1]),
        (file, b""),
        # As a power cut may leave it: as long and as old as it was.
        (record, bytes(record.stat().st_size)),
        (record, record.read_bytes() + b"torch/more.py,sha256=x,1\n"),
        (record, b""),
    ]:
        sound, times = path.read_bytes(), path.stat()
        path.write_bytes(damage)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert not finds_all()
        path.write_bytes(sound)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert finds_all()
    assert kept.read_bytes() == as_kept


def test_nothing_broken_comes_back(world: World) -> None:
    execute(world.plan, world.options)
    empty_metadata(world)
    assert execute(world.plan, world.options).status == "installed"
    rollback(world.plan.target)
    assert not list(world.site.glob("torch-*"))


def test_files_outside_of_the_environment_are_nobodys(world: World, tmp_path: Path) -> None:
    """A RECORD may name any file of the machine; root could move it."""
    other = tmp_path / "of-somebody-else"
    other.write_text("precious")
    execute(world.plan, world.options)
    with (world.site / "torch-2.6.0+cu124.dist-info/RECORD").open("a", encoding="utf-8") as record:
        record.write(f"{other},,\n{os.path.relpath(other, world.site)},,\n")
    cut_file(world)
    assert execute(world.plan, world.options).status == "installed"
    assert other.read_text() == "precious"


def test_a_command_that_leads_out_of_its_folder_is_refused(tmp_path: Path, mirror: Mirror) -> None:
    points = {"exllamav2-0.3.2+cu124.torch2.6.0.dist-info/entry_points.txt": b"[console_scripts]\n../../../out = x:y\n"}
    extension = make_extension_stub("exllamav2", "0.3.2+cu124.torch2.6.0", TAG, files=points)
    world = make_world(tmp_path, mirror, extension=extension)
    before = listing(world.venv)
    with pytest.raises(VerificationError, match="outside of its folder"):
        execute(world.plan, world.options)
    assert listing(world.venv) == before


def test_uv_unpacks_a_wheel_once_for_all_environments(world: World, tmp_path: Path) -> None:
    unpacked = tmp_path / "uv-cache"
    options = world.options._replace(installer="uv", environ={**world.environ, "UV_CACHE_DIR": str(unpacked)})
    execute(world.plan, options)
    once = sorted(path.name for path in (unpacked / "archive-v0").iterdir())
    assert len(once) == 26
    rollback(world.plan.target)
    execute(world.plan, options)
    assert sorted(path.name for path in (unpacked / "archive-v0").iterdir()) == once


def test_what_is_broken_in_uvs_cache_too_is_mended(world: World, tmp_path: Path) -> None:
    environ = {**world.environ, "UV_CACHE_DIR": str(tmp_path / "uv-cache"), "UV_LINK_MODE": "hardlink"}
    options = world.options._replace(installer="uv", environ=environ)
    execute(world.plan, options)
    library = world.site / "nvidia/cudnn/lib/libcudnn.so"
    assert library.stat().st_nlink > 1, "uv links what it has unpacked, so the damage below is in its cache too"
    library.write_bytes(b"")
    hooks = Recorder()
    assert execute(world.plan, options, hooks).status == "installed"
    assert [(step.kind, step.name) for step in hooks.changes[0].steps] == [("repair", "nvidia-cudnn-cu12")]
    assert library.read_text() == "nvidia-cudnn-cu12 9.1.0.70\n"


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_a_failing_installer_changes_nothing(world: World, installer: str) -> None:
    with_wrong_torch(world)
    # Both a file and a folder of one name: no installer can unpack that.
    files = {"exllamav2/__init__.py": b"import torch\n", "exllamav2/a": b"", "exllamav2/a/b": b""}
    bad = make_wheel("exllamav2", "0.3.2+cu124.torch2.6.0", TAG, files=files)
    filename = world.plan.pins[1].build.wheel.filename
    world.mirror.add_release("turboderp-org/exllamav2", "v0.3.2", filename, bad)
    before = listing(world.venv)
    hooks = Recorder()
    with pytest.raises(InstallerError) as caught:
        execute(world.plan, world.options._replace(installer=installer), hooks)
    assert "install" in hooks.steps
    assert listing(world.venv) == before
    assert journals(world.plan.target) == ()
    assert caught.value.cause
    assert "as it was before" in caught.value.hints[-1]


@pytest.mark.parametrize(
    ("torch", "module", "said"),
    [
        (usual_torch(("sm_75", "sm_90")), "import torch\n", "no code for 6.1"),
        (usual_torch(), "raise ImportError('undefined symbol: _ZN3c10')\n", "undefined symbol"),
        (usual_torch(), "import os\nos._exit(3)\n", "exit code 3"),
        (usual_torch(), "import os\nos.abort()\n", "exit code -6"),
    ],
)
def test_an_install_that_does_not_prove_itself_changes_nothing(
    tmp_path: Path, mirror: Mirror, torch: bytes, module: str, said: str
) -> None:
    files = {"exllamav2/__init__.py": module.encode()}
    extension = make_extension_stub("exllamav2", "0.3.2+cu124.torch2.6.0", TAG, files=files)
    world = make_world(tmp_path, mirror, torch=torch, extension=extension)
    with_wrong_torch(world)
    before = listing(world.venv)
    with pytest.raises(VerificationError) as caught:
        execute(world.plan, world.options)
    assert said in f"{caught.value.summary} {caught.value.cause}"
    assert listing(world.venv) == before


def test_modules_that_print_do_not_confuse_the_proof(tmp_path: Path, mirror: Mirror) -> None:
    module = b"import torch, sys\nprint('hello {}')\nsys.stdout.write('no line end')\nsys.stderr.write('x' * 200000)\n"
    extension = make_extension_stub("exllamav2", "0.3.2+cu124.torch2.6.0", TAG, files={"exllamav2/__init__.py": module})
    world = make_world(tmp_path, mirror, extension=extension)
    assert execute(world.plan, world.options).status == "installed"


@pytest.mark.parametrize("fault", ["403", "500", "login-page", "cut", "flip", "reset"])
def test_a_fault_of_the_network_changes_nothing(world: World, fault: str) -> None:
    with_wrong_torch(world)
    before = listing(world.venv)
    world.mirror.fault(fault, "*download.pytorch.org*/nvidia_cudnn*.whl", times=None)
    world.mirror.fault(fault, "*download-r2*/nvidia_cudnn*.whl", times=None)
    with pytest.raises((NetworkError, VerificationError)):
        execute(world.plan, world.options)
    assert listing(world.venv) == before
    world.mirror.mend()
    assert execute(world.plan, world.options).status == "installed"


@pytest.mark.parametrize("fault", ["403", "500", "login-page", "reset"])
def test_the_second_host_serves_a_pin_whose_size_nobody_told(world: World, fault: str) -> None:
    torch = world.plan.pins[0]
    second = torch.build.wheel.url.replace("download.", "download-r2.")
    wheel = torch.build.wheel._replace(size_bytes=None, mirrors=(second,))
    plan = world.plan._replace(pins=(torch._replace(build=torch.build._replace(wheel=wheel)), world.plan.pins[1]))
    world.mirror.fault(fault, "download.pytorch.org/*/torch-2.6.0*.whl", times=None)
    assert execute(plan, world.options).status == "installed"
    assert world.mirror.bodies("download-r2.pytorch.org/*/torch-2.6.0*.whl")


def test_where_every_host_of_a_pin_fails_both_are_named(world: World) -> None:
    torch = world.plan.pins[0]
    second = torch.build.wheel.url.replace("download.", "download-r2.")
    wheel = torch.build.wheel._replace(size_bytes=None, mirrors=(second,))
    plan = world.plan._replace(pins=(torch._replace(build=torch.build._replace(wheel=wheel)), world.plan.pins[1]))
    world.mirror.fault("403", "*/torch-2.6.0*.whl", times=None)
    with pytest.raises(NetworkError) as caught:
        execute(plan, world.options)
    assert "download.pytorch.org" in caught.value.summary
    assert "download-r2.pytorch.org" in caught.value.cause


def test_an_index_without_a_project_is_no_failure_of_pip(world: World) -> None:
    world.mirror.fault("404", "pypi.test/simple/*", times=None)
    with pytest.raises(NetworkError) as caught:
        execute(world.plan, world.options)
    assert caught.value.code == "not-found"
    assert "404" in caught.value.cause


@pytest.mark.parametrize("fault", ["403", "500", "login-page"])
def test_a_broken_index_page_is_no_missing_distribution(world: World, fault: str) -> None:
    before = listing(world.venv)
    world.mirror.fault(fault, "*/nvidia-cudnn-cu12/*", times=None)
    world.environ["PIP_RETRIES"] = "0"
    with pytest.raises(NetworkError):
        execute(world.plan, world.options)
    assert listing(world.venv) == before


def test_a_wheel_that_was_never_published_is_told_by_its_address(world: World) -> None:
    extension = world.plan.pins[1]
    missing = extension.build.wheel._replace(url=extension.build.wheel.url.replace("v0.3.2", "v0.3.9"))
    pins = (world.plan.pins[0], extension._replace(build=extension.build._replace(wheel=missing)))
    before = listing(world.venv)
    with pytest.raises(NotPublishedError) as caught:
        execute(world.plan._replace(pins=pins), world.options)
    assert caught.value.urls == {missing.url}
    assert listing(world.venv) == before
    assert world.mirror.bodies() == ()


def test_another_hash_than_the_recorded_one(world: World) -> None:
    torch = world.plan.pins[0]
    other = torch.build.wheel._replace(sha256="0" * 64)
    plan = world.plan._replace(pins=(torch._replace(build=torch.build._replace(wheel=other)), world.plan.pins[1]))
    with pytest.raises(VerificationError):
        execute(plan, world.options)
    assert "torch" not in world.versions()


def test_a_dependency_without_a_wheel_is_built_before_anything_changes(world: World) -> None:
    import io
    import tarfile

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        texts = {
            "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
            "PKG-INFO": "Metadata-Version: 2.1\nName: regex\nVersion: 2.0\n",
            "backend.py": (
                "import zipfile\n"
                "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
                "    name = 'regex-2.0-py3-none-any.whl'\n"
                "    info = 'regex-2.0.dist-info'\n"
                "    with zipfile.ZipFile(folder + '/' + name, 'w') as archive:\n"
                "        archive.writestr('regex.py', 'built = True')\n"
                "        archive.writestr(info + '/METADATA', 'Metadata-Version: 2.1\\n'\n"
                "            'Name: regex\\nVersion: 2.0\\n')\n"
                "        archive.writestr(info + '/WHEEL', 'Wheel-Version: 1.0\\nGenerator: x\\n'\n"
                "            'Root-Is-Purelib: true\\nTag: py3-none-any\\n')\n"
                "        archive.writestr(info + '/RECORD', 'regex.py,,\\n')\n"
                "    return name\n"
            ),
        }
        for path, text in texts.items():
            entry = tarfile.TarInfo(f"regex-2.0/{path}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    world.mirror.add_pypi("regex-2.0.tar.gz", packed.getvalue())
    hooks = Recorder()
    execute(world.plan._replace(others=("regex>=2",)), world.options, hooks)
    assert world.versions()["regex"] == "2.0"
    assert hooks.phases.index("build") < hooks.phases.index("set-aside")


def test_ctrl_c_puts_everything_back_and_goes_on(world: World) -> None:
    class Impatient(Recorder):
        def on_line(self, text: str) -> None:
            raise KeyboardInterrupt

    with_wrong_torch(world)
    before = listing(world.venv)
    hooks = Impatient()
    with pytest.raises(KeyboardInterrupt):
        execute(world.plan, world.options, hooks)
    assert hooks.steps == ["set-aside", "install", "put-back", "undone"]
    assert listing(world.venv) == before


def test_a_venv_without_pip_is_served_by_ours(world: World) -> None:
    for path in world.site.glob("pip*"):
        shutil.rmtree(path)
    target = world.plan.target._replace(pip_version="", installed=())
    assert execute(world.plan._replace(target=target), world.options).status == "installed"
    assert world.imports("torch", "exllamav2")


def test_no_usable_pip_names_the_command(world: World) -> None:
    old = world.plan.target._replace(pip_version="19.0", version=(3, 8, 18))
    with pytest.raises(TargetError, match=r"pip 19\.0") as caught:
        execute(world.plan._replace(target=old), world.options)
    assert caught.value.code == "no-usable-pip"
    assert f"{world.python} -m pip install --upgrade pip" in caught.value.hints[0]


def test_no_uv_says_how_to_get_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    options = world.options._replace(installer="uv", environ={**world.environ, "PATH": "/nowhere"})
    with pytest.raises(InstallerError) as caught:
        execute(world.plan, options)
    assert caught.value.code == "no-uv"
    assert "pip install uv" in caught.value.hints[0]


def test_a_python_of_the_operating_system_is_left_alone(world: World) -> None:
    target = world.plan.target._replace(externally_managed="Use apt.")
    with pytest.raises(TargetError) as caught:
        execute(world.plan._replace(target=target), world.options)
    assert caught.value.code == "externally-managed"


def test_a_second_install_in_the_same_environment_waits_or_says_so(world: World) -> None:
    class Second(Recorder):
        def on_line(self, text: str) -> None:
            with pytest.raises(PascalInstallError) as caught:
                execute(world.plan, world.options._replace(lock_timeout_s=0.1))
            self.lines.append(caught.value.code)

    hooks = Second()
    execute(world.plan, world.options, hooks)
    assert hooks.lines


def test_rollback_refuses_where_others_changed_the_same_packages(world: World) -> None:
    execute(world.plan, world.options)
    world.pip("uninstall", "--yes", "--quiet", "regex")
    before = listing(world.venv)
    with pytest.raises(TargetError) as caught:
        rollback(world.plan.target)
    assert caught.value.code == "changed-since"
    assert "regex was 1.0, now it is not installed" in caught.value.cause
    assert listing(world.venv) == before


def test_nothing_to_roll_back(world: World) -> None:
    with pytest.raises(TargetError) as caught:
        rollback(world.plan.target)
    assert caught.value.code == "nothing-to-roll-back"
    assert recover(world.plan.target) is False


def test_the_way_back_can_be_given_up(world: World) -> None:
    with_wrong_torch(world)
    execute(world.plan, world.options)
    after = listing(world.venv)
    assert forget(world.plan.target) > 0
    assert way_back(world.plan.target) is None
    assert listing(world.venv) == after


def test_no_credential_is_written_down(world: World) -> None:
    world.mirror.require_login("pypi.test/*", "me", "s3cret")
    world.environ["PIP_INDEX_URL"] = world.mirror.pypi_url.replace("://", "://me:s3cret@")
    hooks = Recorder()
    execute(world.plan, world.options, hooks)
    written = [path for path in world.venv.rglob("*") if path.is_file()]
    written += [path for path in (world.root / "cache").rglob("*") if path.is_file() and path.suffix != ".whl"]
    assert not [path for path in written if b"s3cret" in path.read_bytes()]
    assert "s3cret" not in json.dumps([hooks.lines, hooks.phases])


def test_settings_that_would_send_pip_elsewhere_do_not(world: World, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    world.environ.update(PIP_TARGET=str(elsewhere), PIP_USER="1", PIP_NO_DEPS="1", PIP_REQUIRE_HASHES="1")
    assert execute(world.plan, world.options).status == "installed"
    assert not elsewhere.exists()
    assert interpreter_of(world.venv) == world.python
    assert os.path.isdir(world.site / "torch")
