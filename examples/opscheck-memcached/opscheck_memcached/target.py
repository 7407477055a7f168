"""memcached targets."""

from pydantic import Field, SecretStr

from opscheck import Target


class MemcachedTarget(Target, kind="memcached"):
    """One memcached server."""

    host: str = Field(min_length=1)
    """Name or address of the server."""
    port: int = Field(default=11211, ge=1, le=65535)
    """Its TCP port."""
    user: str | None = None
    """The user, where the server was started with an authentication file (`-Y`)."""
    password: SecretStr | None = None
    """The user's password."""

    @property
    def address(self) -> str:
        """Host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def facts(self) -> dict[str, str | int]:
        """Values for commands that reach the server."""
        return {"host": self.host, "port": self.port}
