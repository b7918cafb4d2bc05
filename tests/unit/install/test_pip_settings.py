"""What pip itself says of the person's settings."""

import os
import sys
from pathlib import Path

import pytest

from pascal_install.errors import InstallerError
from pascal_install.installation.pip_settings import PipSettings, pip_settings
from support.environments import make_venv


def test_without_settings_it_is_pips_own_default() -> None:
    settings = pip_settings(sys.executable)
    assert settings == PipSettings(index_url=settings.index_url)
    assert settings.index_url.startswith("https://")
    assert settings.index_url.endswith("/simple")
    assert settings.index_urls == (settings.index_url,)
    assert settings.connection_environ() == {}


@pytest.mark.parametrize("variable", ["", "PYTHONPATH"])
def test_modules_in_the_current_directory_are_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    usual = pip_settings(sys.executable)
    for name in ("pip", "typing", "runpy", "urllib"):
        (tmp_path / f"{name}.py").write_text("open('RAN', 'w')\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    environ = {**os.environ, variable: str(tmp_path)} if variable else None
    assert pip_settings(sys.executable, environ) == usual
    assert not Path("RAN").exists()


def test_files_and_variables_count_in_pips_order(tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text(
        """[global]
index-url = https://me:pass%%word@file.example/simple
extra-index-url =
    https://one.example/simple
    https://two.example/it's
trusted-host = one.example inner.example:8080
timeout = 7
cert = /file.pem
[install]
cert = /install.pem
find-links = /a
[freeze]
timeout = 10
""",
        encoding="utf-8",
    )
    environ = {**os.environ, "PIP_CONFIG_FILE": str(config)}
    settings = pip_settings(sys.executable, {**environ, "PIP_QUIET": "3", "PIP_PROXY": "http://proxy.example:3128"})
    assert settings == PipSettings(
        index_url="https://me:pass%%word@file.example/simple",
        extra_index_urls=("https://one.example/simple", "https://two.example/it's"),
        find_links=("/a",),
        cert="/install.pem",
        proxy="http://proxy.example:3128",
        trusted_hosts=("one.example", "inner.example:8080"),
        timeout_s=7.0,
    )
    assert settings.connection_environ() == {
        "PIP_CERT": "/install.pem",
        "PIP_PROXY": "http://proxy.example:3128",
        "PIP_TRUSTED_HOST": "one.example inner.example:8080",
        "PIP_DEFAULT_TIMEOUT": "7",
    }
    environ["PIP_INDEX_URL"] = "https://variable.example/simple"
    assert pip_settings(sys.executable, environ).index_url == "https://variable.example/simple"


def test_no_index_means_no_index() -> None:
    settings = pip_settings(sys.executable, {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels /more"})
    assert (settings.index_urls, settings.find_links) == ((), ("/wheels", "/more"))


def test_a_python_without_pip_is_told(tmp_path: Path) -> None:
    python = make_venv(tmp_path / "env", with_pip=False)
    with pytest.raises(InstallerError) as caught:
        pip_settings(str(python))
    assert caught.value.code == "pip-missing"


def test_a_python_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(InstallerError) as caught:
        pip_settings(str(tmp_path / "python"))
    assert caught.value.code == "pip-broken"


def test_a_broken_configuration_is_told_in_pips_words(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[global\n", encoding="utf-8")
    with pytest.raises(InstallerError) as caught:
        pip_settings(sys.executable, {**os.environ, "PIP_CONFIG_FILE": str(tmp_path / "pip.conf")})
    assert (caught.value.code, "pip.conf" in caught.value.cause) == ("pip-broken", True)
