"""What can be expected of certificates, as they are served and as they lie in files."""

from opscheck.systems.tls.expectations import certificate, files

# To import this package makes all of them known under the names of their checks.
__all__ = ["certificate", "files"]
