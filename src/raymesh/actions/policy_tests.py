"""Runs the cases kept beside policies: each says who asks for what, and what must come of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from raymesh.errors import MeshError, UsageError
from raymesh.governance.cases import CaseResult, mismatches
from raymesh.governance.decide import decide
from raymesh.governance.model import LOCAL_ISSUER, Asked, Principal
from raymesh.governance.predicate import UnfitError

if TYPE_CHECKING:
    from raymesh.actions.policies import Ground
    from raymesh.spec.policies import PolicyCase


def run_cases(here: Ground, now: datetime) -> list[CaseResult]:
    """All cases, in the order of their files. A case that cannot be decided is a failed one."""
    assert here.documents.governance is not None  # noqa: S101  # a ground has governance documents
    found = []
    for document in here.documents.governance.tests:
        for number, case in enumerate(document.model.tests):
            span = document.span("tests", number, "name")
            try:
                failures = tuple(_failures(here, case, now))
            except (MeshError, UnfitError) as error:
                failures = (error.message,)
            found.append(CaseResult(document.path, case.name, span, failures))
    return found


def _failures(here: Ground, case: PolicyCase, now: datetime) -> Iterator[str]:
    target = here.target(case.product)
    asked = Asked(case.action, None if case.columns is None else tuple(case.columns), case.purpose)
    decision = decide(_reader(here, case), target, asked, here.bundle, (), case.at or now)
    yield from mismatches(decision, target, case.expect)


def _reader(here: Ground, case: PolicyCase) -> Principal:
    if (case.as_ is None) is (case.principal is None):
        raise UsageError("a case needs either `as`, a user of users.yaml, or `principal`")
    if case.as_ is not None:
        return here.principal(case.as_)
    assert case.principal is not None  # noqa: S101  # one of the two is there
    who = case.principal
    return Principal(
        issuer=LOCAL_ISSUER,
        subject=who.name,
        groups=frozenset(who.groups),
        attributes=dict(who.attributes),
        purposes=frozenset(who.purposes),
    )
