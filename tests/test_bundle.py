"""Where the bundled checks and policies are found."""

import pytest

from opscheck.bundle import _find, bundled


def folders(root, *names):
    for name in names:
        (root / name).mkdir(parents=True)
    return root / "opscheck"


def test_shipped_policy_exists():
    assert (bundled("policies") / "daily.yaml").is_file()


def test_wheel_has_checks_and_policies_inside_the_package(tmp_path):
    package = folders(tmp_path, "opscheck/checks", "checks")

    assert package / "checks" == _find("checks", package)


def test_checkout_has_checks_and_policies_next_to_the_package(tmp_path):
    package = folders(tmp_path, "opscheck/checks", "checks")
    (tmp_path / "pyproject.toml").touch()

    assert tmp_path / "checks" == _find("checks", package)


def test_missing_checks_and_policies_are_an_error(tmp_path):
    package = folders(tmp_path, "opscheck", "checks")

    with pytest.raises(FileNotFoundError, match="bundled checks are missing"):
        _find("checks", package)
