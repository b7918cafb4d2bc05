"""The hosts on loopback are good enough for the real pip and the real uv."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.environments import clean_environ, make_venv
from support.mirror import PYTORCH, Mirror
from support.wheels import make_extension_stub, make_module_stub, make_torch_stub, wheel_filename

TAG = f"cp3{sys.version_info[1]}-cp3{sys.version_info[1]}-linux_x86_64"
TORCH = wheel_filename("torch", "2.6.0+cu124", TAG)
EXTENSION = wheel_filename("exllamav2", "0.3.2+cu124.torch2.6.0", TAG)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the wheels are for Linux")


def publish(mirror: Mirror) -> str:
    """Publish a torch, its one dependency and an extension; give the extension's played address."""
    torch = make_torch_stub("2.6.0+cu124", "cu124", TAG, ["sm_50", "sm_60"], requires=["filelock"])
    mirror.add_wheel("whl/cu124", TORCH, torch, cdn=True, hashed=False)
    mirror.add_wheel("whl/cu124", TORCH.replace("2.6.0", "2.5.1"), make_torch_stub("2.5.1+cu124", "cu124", TAG, []))
    mirror.add_pypi("filelock-3.16.0-py3-none-any.whl", make_module_stub("filelock", "3.16.0"))
    extension = make_extension_stub("exllamav2", "0.3.2+cu124.torch2.6.0", TAG, requires=["torch>=2.2.0"])
    url = mirror.add_release("turboderp-org/exllamav2", "v0.3.2", EXTENSION, extension)
    return url.replace("https:/", mirror.url)


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_an_installer_takes_all_three_from_their_hosts(installer: str, mirror: Mirror, tmp_path: Path) -> None:
    extension = publish(mirror)
    python = make_venv(tmp_path / "env", with_pip=installer == "pip")
    if installer == "pip":
        command = [str(python), "-m", "pip", "install"]
    else:
        uv = shutil.which("uv", path=str(Path(sys.executable).parent))
        if uv is None:
            pytest.skip("uv is not installed beside this Python")
        command = [uv, "pip", "install", "--python", str(python), "--index-strategy", "unsafe-best-match"]
    index = ["--index-url", f"{mirror.base(PYTORCH)}/whl/cu124", "--extra-index-url", mirror.pypi_url]
    done = subprocess.run(
        [*command, *index, f"exllamav2 @ {extension}"],
        capture_output=True,
        text=True,
        check=False,
        env=clean_environ(tmp_path / "home"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    code = "import exllamav2, torch; print(torch.__version__, torch.version.cuda, torch._C._cuda_getArchFlags())"
    said = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "2.6.0+cu124 12.4 sm_50 sm_60\n"
    assert [path for path in mirror.bodies("*/torch-*.whl") if "2.5.1" in path] == []


def test_a_resolution_needs_no_wheel_bodies(mirror: Mirror, tmp_path: Path) -> None:
    publish(mirror)
    index = ["--index-url", f"{mirror.base(PYTORCH)}/whl/cu124", "--extra-index-url", mirror.pypi_url]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", *index, "torch"],
        capture_output=True,
        text=True,
        check=False,
        env=clean_environ(tmp_path / "home"),
    )
    assert "Would install filelock-3.16.0 torch-2.6.0+cu124" in done.stdout, done.stdout + done.stderr
    assert mirror.bodies() == ()


def test_a_child_is_sent_to_a_proxy_that_is_not_there(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import urllib.request; urllib.request.urlopen('http://192.0.2.1/', timeout=20)"],
        capture_output=True,
        text=True,
        check=False,
        env=clean_environ(tmp_path / "home"),
    )
    assert "Connection refused" in done.stderr
