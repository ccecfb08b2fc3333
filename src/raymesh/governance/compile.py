"""From policy documents to rules that can decide, or to everything that is wrong with them.

What a policy says is checked on its own here; whether the products and columns it names exist is checked against
the mesh in governance.check. A mesh whose policies have errors has no rules, so nothing of it can be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from raymesh.errors import Diagnostic, DocumentsInvalidError
from raymesh.governance.bundle import digest_of
from raymesh.governance.matching import CLEAR_LIMIT
from raymesh.governance.model import GLOBAL, Bundle, Policy, What, Who
from raymesh.spec.classifications import normal, taxonomy
from raymesh.spec.condition import ConditionError, parse
from raymesh.spec.mask import Raw
from raymesh.spec.wording import did_you_mean

if TYPE_CHECKING:
    from raymesh.errors import Severity, SourceSpan
    from raymesh.spec.classifications import Taxonomy
    from raymesh.spec.expression import Expression
    from raymesh.spec.governance_files import GovernanceDocuments, PolicyFile
    from raymesh.spec.mesh import GovernanceSettings
    from raymesh.spec.policies import PolicySpec


@dataclass(frozen=True, slots=True)
class Compiled:
    """The rules that could be understood, and every problem of those that could not."""

    policies: tuple[Policy, ...]
    problems: tuple[Diagnostic, ...]


def bundle_of(documents: GovernanceDocuments, settings: GovernanceSettings, version: int = 0) -> Bundle:
    """The documents as one content-hashed bundle. Raises DocumentsInvalidError with every problem."""
    compiled = compiled_policies(documents)
    errors = tuple(p for p in compiled.problems if p.severity == "error")
    if errors:
        raise DocumentsInvalidError(errors)
    known = taxonomy_of(documents)
    return Bundle(
        policies=compiled.policies,
        taxonomy=known.names,
        sensitive=known.sensitive,
        version=version,
        digest=digest_of(documents, compiled.policies, known, settings.release),
        purposes=known.purposes,
        ttl=settings.ttl,
    )


def taxonomy_of(documents: GovernanceDocuments) -> Taxonomy:
    """The tags and purposes of the mesh."""
    return taxonomy(None if documents.classifications is None else documents.classifications.model)


def compiled_policies(documents: GovernanceDocuments) -> Compiled:
    """All policies as rules, in the order of their files."""
    known = taxonomy_of(documents)
    every = [
        _Place(file, n, spec)
        for file in documents.policies
        for n, spec in enumerate(file.document.model.policies)
    ]
    reading = _Reading(known, every)
    policies = tuple(reading.policy(place) for place in every)
    return Compiled(policies, tuple(reading.problems))


@dataclass(frozen=True, slots=True)
class _Place:
    file: PolicyFile
    number: int
    spec: PolicySpec

    def span(self, *loc: str | int) -> SourceSpan:
        return self.file.document.span("policies", self.number, *loc)


class _Reading:
    """Reads policies one by one and collects what is wrong."""

    def __init__(self, known: Taxonomy, every: list[_Place]) -> None:
        self.known = known
        self.problems: list[Diagnostic] = []
        self.first: dict[str, _Place] = {}
        self.conditions: dict[str, Expression] = {}
        self.delegated = _delegated_domains(every)
        for place in every:
            first = self.first.setdefault(place.spec.name, place)
            if first is not place:
                message = f"a policy called `{place.spec.name}` already stands in {first.span('name')}"
                way = "give every policy of the mesh its own name"
                self._report("duplicate-policy", message, place.span("name"), way)

    def policy(self, place: _Place) -> Policy:
        spec = place.spec
        for check in (self._keys, self._who, self._what, self._times, self._exception, self._federation):
            check(place)
        return Policy(
            name=spec.name,
            origin=place.file.origin,
            effect=spec.effect,
            who=_who(spec),
            what=_what(spec),
            action=spec.action,
            rows=self._rows(place),
            mask=spec.mask,
            not_before=spec.not_before,
            expires_at=spec.expires,
            exception_to=spec.exception_to,
            approved_by=spec.approved_by,
            reason=spec.reason or "",
            span=place.span("name"),
        )

    def _report(
        self,
        code: str,
        message: str,
        span: SourceSpan,
        way: str | None = None,
        severity: Severity = "error",
    ) -> None:
        self.problems.append(Diagnostic(code, message, span, severity, way))

    def _rows(self, place: _Place) -> Expression | None:
        text = place.spec.rows
        if text is None:
            return None
        try:
            if text not in self.conditions:
                self.conditions[text] = parse(text)
            return self.conditions[text]
        except ConditionError as wrong:
            message = f"the condition cannot be read at character {wrong.position + 1}: {wrong.message}"
            self._report("policy-condition", message, place.span("rows"), _CONDITIONS)
            return None

    def _keys(self, place: _Place) -> None:
        spec = place.spec
        needs = {"mask": ("mask", spec.mask), "restrict": ("rows", spec.rows)}.get(spec.effect)
        if needs and needs[1] is None:
            message = f"a policy with the effect {spec.effect} needs `{needs[0]}`"
            self._report("policy-effect", message, place.span("effect"))
        said = {"rows": spec.rows is not None, "mask": spec.mask is not None, "action": spec.action != "read"}
        for key, owners in _OWNERS.items():
            if said[key] and spec.effect not in owners:
                message = f"a policy with the effect {spec.effect} has no `{key}`"
                way = f"`{key}` belongs to {' and '.join(owners)}"
                self._report("policy-effect", message, place.span(key), way)
        if isinstance(spec.mask, Raw) and not spec.exception_to:
            way = "a column is shown as it is when no policy masks it; exceptionTo takes it out of one that does"
            self._report("policy-effect", "only an exception can have the mask raw", place.span("mask"), way)

    def _who(self, place: _Place) -> None:
        purposes = place.spec.who.purposes
        for n, purpose in enumerate(purposes):
            if self.known.purposes and purpose not in self.known.purposes:
                way = did_you_mean(purpose, self.known.purposes)
                way = way or "register it in governance/classifications.yaml"
                span = place.span("who", "purposes", n)
                self._report("unknown-purpose", f"there is no purpose `{purpose}`", span, way)

    def _what(self, place: _Place) -> None:
        for n, tag in enumerate(place.spec.what.tags):
            if not self.known.covers(tag):
                span = place.span("what", "tags", n)
                self._report("unknown-tag", f"there is no tag `{tag}`", span, self.known.hint(tag))

    def _times(self, place: _Place) -> None:
        spec = place.spec
        if spec.not_before and spec.expires and spec.expires <= spec.not_before:
            self._report("policy-time", "the policy expires before it begins", place.span("expires"))
        if spec.action != "read_clear" or spec.effect != "grant":
            return
        if not spec.who.purposes or not spec.reason:
            message = "clear data is granted for a purpose and with a reason only"
            self._report("policy-clear", message, place.span("action"), "add who.purposes and `reason`")
        window = spec.expires - spec.not_before if spec.expires and spec.not_before else None
        if window is None or window > CLEAR_LIMIT:
            hours = int(CLEAR_LIMIT.total_seconds() // 3600)
            message = f"clear data is granted for at most {hours} hours"
            self._report("policy-clear", message, place.span("action"), "write notBefore and expires")

    def _exception(self, place: _Place) -> None:
        spec = place.spec
        for n, name in enumerate(spec.exception_to):
            if name not in self.first or name == spec.name:
                way = did_you_mean(name, self.first.keys() - {spec.name})
                span = place.span("exceptionTo", n)
                self._report("unknown-policy", f"there is no other policy `{name}`", span, way)
        if not spec.exception_to:
            return
        lacking = [
            k for k, v in (("expires", spec.expires), ("reason", (spec.reason or "").strip())) if not v
        ]
        if len(set(spec.approved_by)) < 2:
            lacking.append("approvedBy with two different people")
        if lacking:
            message = f"an exception needs {', '.join(lacking)}"
            self._report("policy-exception", message, place.span("exceptionTo"))
        if own := set(spec.approved_by) & set(spec.who.principals):
            message = f"{', '.join(sorted(own))} cannot approve an exception for themselves"
            self._report(
                "policy-exception", message, place.span("approvedBy"), "let somebody else approve it"
            )
        if spec.effect == "delegate":
            self._report("policy-exception", "a delegation is no exception", place.span("exceptionTo"))

    def _federation(self, place: _Place) -> None:
        spec, origin = place.spec, place.file.origin
        if origin == GLOBAL:
            return
        if spec.exception_to:
            way = "write it in governance/policies, where the mesh's governance approves it"
            message = "a domain cannot except anybody from a policy"
            self._report("policy-federation", message, place.span("exceptionTo"), way)
        if spec.effect == "delegate":
            way = "write it in governance/policies"
            self._report("policy-federation", "a domain cannot delegate", place.span("effect"), way)
        foreign = [("domains", n, d) for n, d in enumerate(spec.what.domains) if d != origin]
        foreign += [("products", n, p) for n, p in enumerate(spec.what.products) if p.split(".")[0] != origin]
        for key, n, name in foreign:
            message = f"a policy of the domain {origin} cannot be about `{name}`"
            way = "a domain's policies concern its own products; write it in governance/policies"
            self._report("policy-federation", message, place.span("what", key, n), way)
        if spec.effect == "grant" and not {origin, "*"} & self.delegated:
            message = f"nothing is delegated to the domain {origin}, so its grants do not count"
            way = f"a policy with `effect: delegate` and `domains: [{origin}]` in governance/policies does it"
            self._report("policy-federation", message, place.span("effect"), way)


_CONDITIONS = "comparisons, in (…), between, is null, and, or, not; columns, values and principal.NAME"
_OWNERS = {"rows": ("grant", "restrict"), "mask": ("mask",), "action": ("grant", "delegate")}


def _delegated_domains(every: list[_Place]) -> set[str]:
    found: set[str] = set()
    for place in every:
        if place.spec.effect == "delegate" and place.file.origin == GLOBAL:
            what = place.spec.what
            found.update(what.domains, (p.partition(".")[0] for p in what.products))
            if not what.domains and not what.products:
                found.add("*")
    return found


def _who(spec: PolicySpec) -> Who:
    who = spec.who
    return Who(
        groups=frozenset(who.groups),
        principals=frozenset(who.principals),
        attributes={name: frozenset(values) for name, values in sorted(who.attributes.items())},
        purposes=frozenset(who.purposes),
    )


def _what(spec: PolicySpec) -> What:
    what = spec.what
    return What(
        domains=frozenset(what.domains),
        products=frozenset(what.products),
        tags=frozenset(normal(t) for t in what.tags),
        columns=frozenset(what.columns),
    )
