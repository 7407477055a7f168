"""The targets of a policy, each validated as its kind."""

from opscheck.core.addresses import SCHEMES_OF_KINDS
from opscheck.core.expectation import Expectation
from opscheck.core.redaction import Secrets
from opscheck.core.registry import Registry
from opscheck.core.system import Client
from opscheck.core.target import InlineTarget, Target
from opscheck.policy.distributions import hint_to_use, owner_of_kind
from opscheck.policy.errors import Issues
from opscheck.policy.inline_secrets import register_secrets
from opscheck.policy.nodes import Mapping, Node, Path, Scalar, text_of
from opscheck.policy.suggestions import did_you_mean
from opscheck.policy.validation import validated


class Targets:
    """The policy's targets. A kind may become known late, with the module of a team's own checks."""

    def __init__(self, issues: Issues, secrets: Secrets, registry: Registry) -> None:
        self._registry = registry
        self._issues = issues
        self._secrets = secrets
        section = issues.root.items.get("targets")
        nodes = section.items if isinstance(section, Mapping) else {}
        self._open = {name: node for name, node in nodes.items() if isinstance(node, Mapping)}
        self.nodes = nodes
        self._known: dict[str, Target] = {}

    def known(self) -> dict[str, Target]:
        """Every target that is valid, by its name."""
        for name, node in list(self._open.items()):
            kind = self._registry.target_type(text_of(node.items.get("kind")) or "")
            if kind is not None:
                del self._open[name]
                self._validate(name, node, kind)
        return self._known

    def refuse_unknown_kinds(self, issues: Issues) -> None:
        """Add to `issues` the targets of an unknown kind."""
        for name, node in self._open.items():
            kind = node.items.get("kind")
            if kind is None:
                issues.at(node, ("targets", name), "the key `kind` is missing", hint=self._kinds(""))
            else:
                hint = self._kinds(text_of(kind) or "")
                issues.at(kind, ("targets", name, "kind"), "unknown kind of target", kind.shown, hint)

    def refuse_missing_clients(self, issues: Issues) -> None:
        """Add to `issues` the targets whose client library is not installed."""
        for name, target in self._known.items():
            client = self._registry.client_of_kind(target.kind)
            refuse_missing(client, f"targets of kind {target.kind}", issues, self.nodes[name], ("targets", name))

    def _kinds(self, word: str) -> str | None:
        if word and (owner := owner_of_kind(word)) is not None:
            return hint_to_use(owner, f"targets of kind {word}")
        return did_you_mean(word, self._registry.target_kinds, "there are")

    def _validate(self, name: str, node: Mapping, kind: type[Target]) -> None:
        target = validated(
            kind, node, ("targets", name), self._issues, context={SCHEMES_OF_KINDS: self._registry.kind_of_scheme}
        )
        if "name" in node.items:
            hint = f"the name of this target is its key, {name}"
            self._issues.at_key(node.items["name"], ("targets", name, "name"), "unknown key", hint)
        elif target is not None:
            register_secrets(target, node, self._secrets)
            self._known[name] = target.named(name)


def with_own_targets(expectation: Expectation, node: Mapping) -> Expectation:
    """The expectation, its inline targets named by their text in the policy; `node` is its source."""
    own = {
        name: value.as_written(written.literal or written.written)
        for name, field in type(expectation).model_fields.items()
        if isinstance(value := getattr(expectation, name), InlineTarget)
        and isinstance(written := node.items.get(field.alias or name), Scalar)
    }
    return expectation.model_copy(update=own) if own else expectation


def refuse_missing(client: Client | None, what: str, issues: Issues, node: Node, path: Path) -> None:
    """Add to `issues` that `what`, at `path`, needs a client library that is not installed."""
    if client is not None and (missing := client.missing()):
        packages = f"the Python package{'s' * (len(missing) > 1)} {', '.join(missing)}"
        rule = f"{what} need {packages}, which {'are' if len(missing) > 1 else 'is'} not installed"
        issues.at(node, path, rule, hint=f"pip install '{client.install}'")
