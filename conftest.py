"""What every folder with tests shares is in tests/conftest.py; here nothing changes a run of the checks."""
