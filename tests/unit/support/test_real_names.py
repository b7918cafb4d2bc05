"""Unchanged addresses lead to the hosts on loopback, for us, for pip and for uv."""

import json
from pathlib import Path

from support.real_names import run_under_real_names

PROGRAM = """
import json, shutil, subprocess, sys
from pathlib import Path
from pascal_install.fetch import Fetcher, published
from support.mirror import Mirror
from support.wheels import make_torch_stub

here = Path(CERTIFICATE).parent
with Mirror(CERTIFICATE, real_links=True, port=443) as mirror:
    tag = "py3-none-any"
    torch = make_torch_stub("2.6.0+cu124", "cu124", tag, ["sm_60"], requires=[])
    url = mirror.add_wheel("whl/cu124", f"torch-2.6.0+cu124-{tag}.whl", torch, cdn=True)
    release = mirror.add_release("turboderp-org/exllamav2", "v0.3.2", "exllamav2-0.3.2+cu124.torch2.6.0.whl", b"PK")
    with Fetcher() as fetcher:
        ours = [published(fetcher, url), published(fetcher, url + "x"), fetcher.download(release, str(here / "got"))]
    index = ["--index-url", "https://download.pytorch.org/whl/cu124", "--target"]
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", *index, str(here / "pip"), "torch"]
    uv = shutil.which("uv", path=str(Path(sys.executable).parent))
    uv = [uv, "pip", "install", "--no-deps", *index, str(here / "uv"), "torch"] if uv else []
    said = [subprocess.run(one, capture_output=True, text=True) for one in (pip, uv) if one]
    hosts = sorted({one.host for one in mirror.requests})
print(json.dumps([ours, [one.returncode for one in said], [one.stderr for one in said], hosts]))
"""


def test_real_names_lead_to_loopback(tmp_path: Path) -> None:
    done = run_under_real_names(tmp_path, PROGRAM)
    assert done.returncode == 0, done.stderr
    ours, codes, said, hosts = json.loads(done.stdout)
    assert ours[:2] == [True, False]
    assert set(codes) == {0}, said
    assert hosts == [
        "download-r2.pytorch.org",
        "download.pytorch.org",
        "github.com",
        "release-assets.githubusercontent.com",
    ]
