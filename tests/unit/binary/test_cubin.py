"""The toolkit that cubins name: real ones of ptxas 12.9, and what no compiler wrote."""

from __future__ import annotations

import random
import time

import pytest

from pascal_install.binary.cubin import toolkits
from pascal_install.model.cuda import CudaVersion
from support.device_code import asset, pack_elf

#: The attribute as ptxas 12.9 writes it: its form, number 0x37, four bytes, 129.
TOLD = bytes.fromhex("0437040081000000")


@pytest.mark.parametrize("name", ["libpascal.so", "libstray.so", "libmixed.so", "librelocatable.so"])
def test_real_cubins_name_their_compiler(name: str) -> None:
    assert toolkits(asset(name)) == {CudaVersion(12, 9)}


def test_cubins_of_two_toolkits_are_both_told() -> None:
    older = asset("libpascal.so").replace(TOLD, TOLD[:4] + (118).to_bytes(4, "little"))
    assert toolkits(asset("libpascal.so") + older) == {CudaVersion(11, 8), CudaVersion(12, 9)}


@pytest.mark.parametrize("name", ["libplain.so", "libcompressed.so"])
def test_nothing_is_told_by_what_has_no_cubins_to_read(name: str) -> None:
    assert toolkits(asset(name)) <= {CudaVersion(12, 9)}
    assert toolkits(b"") == toolkits(asset("libplain.so")) == frozenset()


def test_a_file_that_ends_anywhere_is_no_fault() -> None:
    content = asset("libpascal.so")
    for end in range(0, len(content), 97):
        assert toolkits(content[:end]) <= {CudaVersion(12, 9)}


def test_damage_is_no_fault_and_made_up_tables_cost_little() -> None:
    numbers = random.Random(12)
    content = bytearray(asset("libpascal.so"))
    for _ in range(300):
        content[numbers.randrange(len(content))] = numbers.randrange(256)
        toolkits(bytes(content))
    cubin = bytearray(pack_elf({f".nv.info.{number}": bytes(400) for number in range(200)}, machine=190))
    table = int.from_bytes(cubin[40:48], "little")
    for place in range(1, 201):
        cubin[table + place * 64 + 4 : table + place * 64 + 8] = (0x70000000).to_bytes(4, "little")
    started = time.process_time()
    assert toolkits(b"\0" + bytes(cubin) * 300) == frozenset()
    assert time.process_time() - started < 5
