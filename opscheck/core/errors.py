"""The root of the errors that a user can mend."""


class UserError(Exception):
    """Something that the person who runs opscheck can mend; its text says where, what, and how. Ends with exit 4."""
