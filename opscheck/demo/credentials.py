"""Passwords that are new in every environment."""

import secrets

# Characters that need percent-encoding in a URL: a client without it fails here, not in production.
AWKWARD = "@:/?#%&+"


def password() -> str:
    """A random password with characters that need percent-encoding in a URL."""
    start, end = secrets.token_hex(6), secrets.token_hex(6)
    middle = "".join(secrets.SystemRandom().sample(AWKWARD, 4))
    return f"{start}{middle}{end}"


def token() -> str:
    """A random bearer token or key: letters, digits, `-` and `_`."""
    return secrets.token_urlsafe(24)
