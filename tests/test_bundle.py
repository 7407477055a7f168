"""Where the bundled checks and policies are found."""

import pytest

from opscheck.bundle import _find, bundled


def folders(root, *names):
    for name in names:
        (root / name).mkdir(parents=True)
    return root / "opscheck"


def test_the_shipped_policy_is_there():
    assert (bundled("policies") / "daily.yaml").is_file()


def test_a_wheel_has_them_inside_whatever_lies_beside(tmp_path):
    package = folders(tmp_path, "opscheck/checks", "checks")

    assert package / "checks" == _find("checks", package)


def test_a_checkout_has_them_beside_whatever_copy_lies_inside(tmp_path):
    package = folders(tmp_path, "opscheck/checks", "checks")
    (tmp_path / "pyproject.toml").touch()

    assert tmp_path / "checks" == _find("checks", package)


def test_where_there_are_none_it_is_an_error(tmp_path):
    package = folders(tmp_path, "opscheck", "checks")

    with pytest.raises(FileNotFoundError, match="bundled checks are missing"):
        _find("checks", package)
