"""A machine of its own where the real host names lead to the mirror: addresses need no changing, nothing else is there.

    done = run_under_real_names(tmp_path, '''
    from support.mirror import Mirror
    with Mirror(CERTIFICATE, real_links=True, port=443) as mirror:
        ...
    ''')

Needs `unshare` and the right to use it; the test is skipped with the reason where either is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from support.environments import clean_environ
from support.mirror import HOSTS

_PREPARE = """\
ip link set lo up && mount --bind {hosts} /etc/hosts && exec {python} {script}
"""


def run_under_real_names(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program without a network, the names of all hosts leading to 127.0.0.1.

    CERTIFICATE is the path of a certificate and key for them; pip, uv and requests trust its authority.
    """
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("needs unshare and ip, as Linux has them")
    certificate = make_certificate(folder, *(f"DNS:{host}" for host in HOSTS))
    (folder / "hosts").write_text("".join(f"127.0.0.1 {host}\n" for host in ("localhost", *HOSTS)), encoding="utf-8")
    (folder / "program.py").write_text(f"CERTIFICATE = {str(certificate.server)!r}\n{program}", encoding="utf-8")
    prepare = _PREPARE.format(hosts=folder / "hosts", python=sys.executable, script=folder / "program.py")
    trusted = dict.fromkeys(("REQUESTS_CA_BUNDLE", "PIP_CERT", "SSL_CERT_FILE"), str(certificate.bundle))
    environ = clean_environ(folder / "home", PYTHONPATH=os.pathsep.join(sys.path), **trusted)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "SSL_CERT_DIR", "CURL_CA_BUNDLE"):
        environ.pop(name, None)
    done = subprocess.run(
        ["unshare", "-n", "-m", "sh", "-c", prepare], capture_output=True, text=True, check=False, env=environ
    )
    if "Operation not permitted" in done.stderr or "unshare failed" in done.stderr:
        pytest.skip("may not make a network namespace here")
    return done


class Certificate(NamedTuple):
    """What a server shows, and whom to trust for it."""

    bundle: Path
    """The throw-away authority."""
    server: Path
    """A certificate of it, with its key in the same file."""


def make_certificate(folder: Path, *names: str) -> Certificate:
    """Make a certificate for names such as `DNS:github.com` or `IP:127.0.0.1`."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    made = Certificate(folder / "authority.pem", folder / "server.pem")
    (folder / "openssl.cnf").write_text("[req]\ndistinguished_name = name\n[name]\n", encoding="utf-8")
    rights = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign", "subjectKeyIdentifier=hash")
    _openssl(folder, made.bundle, "authority.key", rights)
    issuer = ("-CA", str(made.bundle), "-CAkey", str(folder / "authority.key"))
    limits = ("basicConstraints=critical,CA:FALSE", "authorityKeyIdentifier=keyid")
    _openssl(folder, made.server, "server.key", (*limits, f"subjectAltName={','.join(names)}"), *issuer)
    made.server.write_bytes(made.server.read_bytes() + (folder / "server.key").read_bytes())
    return made


def _openssl(folder: Path, certificate: Path, key: str, extensions: Sequence[str], *more: str) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *more]
    command += ["-config", str(folder / "openssl.cnf"), "-keyout", str(folder / key), "-out", str(certificate)]
    command += ["-subj", f"/CN=tests {certificate.stem}"]
    for extension in extensions:
        command += ["-addext", extension]
    subprocess.run(command, check=True, capture_output=True)
