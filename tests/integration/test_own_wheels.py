"""`pascal-install ./some.whl` and `name @ address`: read first, then held to the same rules; and symbols afterwards.

The libraries are compiled here and the device code is real; pip, the environment and the hosts on loopback too.
"""

from __future__ import annotations

import hashlib
import sys
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_LZMA, ZipFile

import pytest

from support.device_code import PTX, asset, pack_elf, pack_entry, pack_fatbin
from support.installs import ARCHITECTURES, TAG, listing
from support.mirror import Mirror
from support.person import GPU, Person, make_person
from support.shared_libraries import compile_library, needs_compiler
from support.wheels import make_extension_stub, make_torch_stub, make_wheel, wheel_filename

pytestmark = pytest.mark.skipif(
    not (3, 10) <= sys.version_info[:2] <= (3, 13), reason="exllamav2 0.3.2 has wheels for Python 3.10 to 3.13"
)

NAME, VERSION = "mine", "1.0+cu124.torch2.6.0"
C10 = "namespace c10 { int check(int value) { return value; } }"
USER = "namespace c10 { int check(int); } int use() { return c10::check(1); }"
OTHER_USER = "namespace c10 { int check(long, long); } int use() { return c10::check(1, 2); }"


def own_wheel(*, library: str = "libpascal.so", requires: tuple[str, ...] = ("torch==2.6.0",)) -> bytes:
    files = {"mine/__init__.py": b"import torch\n", **({"mine/_C.so": asset(library)} if library else {})}
    return make_wheel(NAME, VERSION, TAG, files=files, requires=requires)


@pytest.fixture
def person(tmp_path: Path, mirror: Mirror) -> Person:
    return make_person(tmp_path, mirror)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / wheel_filename(NAME, VERSION, TAG)
    path.write_bytes(own_wheel())
    return path


def test_a_wheel_on_disk_brings_the_torch_that_it_was_built_for(person: Person, wheel: Path) -> None:
    done = person.types(str(wheel), *GPU)
    assert done.code == 0, done.err
    assert "this machine" in done.err
    assert person.world.versions() | {"torch": "2.6.0+cu124", NAME: VERSION} == person.world.versions()
    assert person.world.imports("torch", NAME)
    again = person.types(f"mine @ file://{wheel}", *GPU)
    assert again.out.startswith("in place")


def test_a_wheel_by_address_with_its_hash(person: Person) -> None:
    content = own_wheel()
    filename = wheel_filename(NAME, VERSION, TAG)
    url = person.world.mirror.add_release("somebody/mine", "v1", filename, content)
    wrong = person.types(f"mine @ {url}#sha256={'0' * 64}", *GPU)
    assert wrong.code == 9, wrong.err
    assert "mine" not in person.world.versions()
    plan = person.gets("plan", f"{url}#sha256={hashlib.sha256(content).hexdigest()}", *GPU)
    pin = next(one for one in plan["pins"] if one["name"] == NAME)
    assert (pin["coverage"]["6.1"]["arch"], pin["sha256"]) == ("sm_61", hashlib.sha256(content).hexdigest())
    done = person.types(f"{url}#sha256={hashlib.sha256(content).hexdigest()}", *GPU)
    assert done.code == 0, done.err
    assert person.world.versions()[NAME] == VERSION


def test_a_host_that_gives_no_parts_is_asked_for_the_whole(person: Person) -> None:
    url = person.world.mirror.add_release("somebody/mine", "v1", wheel_filename(NAME, VERSION, TAG), own_wheel())
    person.world.mirror.fault("no-ranges", "*mine*", times=None)
    person.world.mirror.fault("no-ranges", "release-assets*", times=None)
    done = person.types(url, *GPU)
    assert done.code == 0, done.err
    assert person.world.versions()[NAME] == VERSION


def test_a_wheel_without_code_for_the_gpu_is_exit_3(person: Person, tmp_path: Path) -> None:
    path = tmp_path / wheel_filename(NAME, VERSION, TAG)
    path.write_bytes(own_wheel(library="libfastpath.so"))
    before = listing(person.world.venv)
    done = person.types(str(path), *GPU)
    assert done.code == 3, done.err
    assert "only sm_90a" in done.out + done.err
    assert listing(person.world.venv) == before


def test_ptx_that_the_driver_cannot_compile_is_exit_3(person: Person, tmp_path: Path) -> None:
    path = tmp_path / wheel_filename(NAME, "1.0", TAG)
    library = pack_elf({".nv_fatbin": pack_fatbin(pack_entry(PTX, 60, version=(8, 8)))})
    path.write_bytes(make_wheel(NAME, "1.0", TAG, files={"mine/__init__.py": b"", "mine/_C.so": library}))
    done = person.types("plan", str(path), "--gpu", "6.1", "--driver", "535.54.03")
    assert done.code == 3, done.err
    assert "its PTX needs a driver for CUDA 12.9" in done.out + done.err
    assert person.types("plan", str(path), "--gpu", "6.1", "--driver", "580.65.06").code == 0


def test_a_library_that_cannot_be_unpacked_is_not_taken_for_one_without_device_code(
    person: Person, tmp_path: Path
) -> None:
    path = tmp_path / wheel_filename(NAME, VERSION, TAG)
    with ZipFile(BytesIO(own_wheel(library="libfastpath.so"))) as deflated, ZipFile(path, "w", ZIP_LZMA) as packed:
        for name in deflated.namelist():
            packed.writestr(name, deflated.read(name), ZIP_LZMA if name.endswith(".so") else None)
    done = person.types("plan", str(path), *GPU)
    assert done.code == 6, done.err
    assert "compressed with method 14" in done.err


def test_a_wheel_without_device_code_asks_for_none(person: Person, tmp_path: Path) -> None:
    path = tmp_path / wheel_filename(NAME, "1.0", "py3-none-any")
    path.write_bytes(make_wheel(NAME, "1.0", files={"mine/__init__.py": b""}, requires=("regex",)))
    done = person.types(str(path), *GPU)
    assert done.code == 0, done.err
    assert "no device code" in done.err
    assert set(person.world.versions()) >= {NAME, "regex"}
    assert "torch" not in person.world.versions()


def test_a_wheel_for_another_python_is_exit_3(person: Person, tmp_path: Path) -> None:
    tag = "cp38-cp38-linux_x86_64"
    path = tmp_path / wheel_filename(NAME, VERSION, tag)
    path.write_bytes(make_wheel(NAME, VERSION, tag, files={"mine/_C.so": asset("libpascal.so")}))
    done = person.types("plan", str(path), *GPU)
    assert done.code == 3
    assert "wheel-tag" in done.out


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("./nowhere-1.0-py3-none-any.whl", 2, "does not exist"),
        ("./some.tar.gz", 2, "no wheel"),
        ("mine @ git+ssh://host.example/mine.whl", 2, "git+ssh"),
        ("mine @ https://me:secret@host.example/mine-1.0-py3-none-any.whl", 2, "netrc"),
        ("https://host.example/mine-1.0-py3-none-any.whl?token=secret", 2, "signature"),
        ("{damaged}", 6, "damaged at offset"),
        ("other @ file://{wheel}", 6, "is not other"),
        ("{wheel}#md5=0", 2, "sha256"),
        ("{wheel}#sha256=" + "0" * 64, 9, "not the file that was meant"),
    ],
)
def test_what_cannot_be_taken(person: Person, wheel: Path, text: str, code: int, said: str) -> None:
    damaged = wheel.with_name("bad-1.0-py3-none-any.whl")
    damaged.write_bytes(wheel.read_bytes()[:-40])
    done = person.types("plan", text.format(wheel=wheel, damaged=damaged), *GPU)
    assert done.code == code, done.err
    assert said in done.err
    assert "secret" not in done.err


# After an install: symbols and kernels of what really arrived


def with_libraries(tmp_path: Path, mirror: Mirror, source: str, *, torch_code: str = "libpascal.so") -> Person:
    """A torch with a real libc10.so, and an exllamav2 whose library was compiled from `source` against it."""
    c10 = compile_library(tmp_path / "build", "libc10.so", C10)
    user = compile_library(tmp_path / "build", "exllamav2_ext.so", source, c10)
    files = {
        "torch/version.py": b"__version__ = '2.6.0+cu124'\ncuda = '12.4'\n",
        "torch/lib/libc10.so": c10.read_bytes(),
        "torch/lib/libtorch_cuda.so": asset(torch_code),
    }
    torch = make_torch_stub("2.6.0+cu124", "cu124", TAG, ARCHITECTURES, files=files)
    person = make_person(tmp_path, mirror, torch=torch)
    version = "0.3.2+cu124.torch2.6.0"
    extension = make_extension_stub("exllamav2", version, TAG, files={"exllamav2/ext.so": user.read_bytes()})
    mirror.add_release("turboderp-org/exllamav2", "v0.3.2", wheel_filename("exllamav2", version, TAG), extension)
    return person


@needs_compiler
def test_symbols_that_torch_has_are_proved(tmp_path: Path, mirror: Mirror) -> None:
    person = with_libraries(tmp_path, mirror, USER)
    done = person.types("exllamav2", *GPU)
    assert done.code == 0, done.err


@needs_compiler
def test_a_symbol_that_torch_lacks_is_exit_9_and_nothing_has_changed(tmp_path: Path, mirror: Mirror) -> None:
    """The import of the stub works, and the plan is right: only the symbols tell."""
    person = with_libraries(tmp_path, mirror, OTHER_USER)
    before = listing(person.world.venv)
    done = person.types("exllamav2", *GPU)
    assert done.code == 9, done.err
    assert "c10::check" in done.err
    assert listing(person.world.venv) == before


@needs_compiler
def test_kernels_that_the_plan_promised_and_the_library_lacks_are_exit_9(tmp_path: Path, mirror: Mirror) -> None:
    person = with_libraries(tmp_path, mirror, USER, torch_code="libfastpath.so")
    before = listing(person.world.venv)
    done = person.types("exllamav2", *GPU)
    assert done.code == 9, done.err
    assert "no kernels for 6.1" in done.err
    assert listing(person.world.venv) == before
