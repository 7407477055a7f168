"""What a store must allow."""

from dataclasses import dataclass

from opscheck.core.query import Permission


@dataclass(frozen=True)
class S3Action(Permission):
    """One action of IAM, on the bucket or on the objects under `prefix` of it."""

    action: str
    prefix: str = ""
    on_objects: bool = False
    """True for an action on objects, as s3:GetObject is; else it is one on the bucket."""

    def text(self) -> str:
        """As a person says it: `s3:GetObject on database/*`."""
        if self.on_objects:
            return f"{self.action} on {self.prefix}*"
        return f"{self.action} under {self.prefix}" if self.prefix else f"{self.action} on the bucket"
