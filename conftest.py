"""What every test folder shares: pytest's own harness for testing plugins, and the tiers of the tests."""

pytest_plugins = ["pytester", "tests.tiers"]
