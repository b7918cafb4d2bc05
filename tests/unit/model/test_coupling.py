from __future__ import annotations

import pytest

from pascal_install.model.coupling import check_torch, is_exact, torch_matches


@pytest.mark.parametrize("text", ["2.6.0", "2.6.*", "2.*", ">=2.4", "<3", ">=2.4,<3", "<3,>=2.4"])
def test_forms_that_are_read(text: str) -> None:
    check_torch(text)
    assert is_exact(text) is (text == "2.6.0")


@pytest.mark.parametrize(
    "text", ["", "2.6.0+cu124", "two", "==2.6.0", "~=2.6", "<=2.6", ">2.6", ">=2.4,>=2.5", "2.6.*,<3", "*"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not (a version|versions) of torch"):
        check_torch(text)


def test_a_nightly_torch_is_only_within_its_own_version() -> None:
    assert not torch_matches(">=2.4", "2.9.0.dev20250801")
    assert torch_matches("2.9.0.dev20250801", "2.9.0.dev20250801")


def test_numbers_are_compared_as_numbers() -> None:
    assert torch_matches(">=2.9", "2.10.0")
    assert not torch_matches("2.1.*", "2.10.0")
    assert torch_matches(">=2.4,<3", "2.4.0")
    assert not torch_matches("<2.6.1", "2.6.1")
