"""What `raymesh policy` shows: decisions, tests, differences and policies as text and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raymesh.cli.report import printable, put, put_table, say

if TYPE_CHECKING:
    from datetime import datetime

    from raymesh.actions.policies import Explained
    from raymesh.governance.cases import CaseResult
    from raymesh.governance.comparing import Difference, Seen
    from raymesh.governance.model import Policy


def show_explained(found: Explained) -> None:
    """A decision with its reasons, as text."""
    from raymesh.governance.model import Deny
    from raymesh.render.predicate import predicate_text

    decision, target = found.explanation.decision, found.target
    purpose = f" for {found.asked.purpose}" if found.asked.purpose else ""
    state = f"version {target.version}" if found.published else "not published yet: as its contract says"
    put(f"{found.principal.id} reads {target.table}{purpose} ({state})")
    if isinstance(decision, Deny):
        put(f"  denied ({decision.code}): {decision.reason}")
        for rule in decision.rules:
            put(f"  by {_cited(found, rule)}")
    else:
        put(f"  rows: {printable(predicate_text(decision.view.rows))}")
        for title, rules in (("granted by", decision.grants), ("restricted by", decision.row_rules)):
            if rules:
                put(f"  {title}: {', '.join(_cited(found, r) for r in rules)}")
        put(f"  holds until {decision.valid_until:%Y-%m-%d %H:%M:%S} UTC")
    for policy in found.idle:
        put(f"  not in force: {_cited(found, policy.name)}, {_times(policy)}")
    if not found.explanation.columns:
        return
    put("")
    rows = [
        (name, shown, ", ".join(_cited(found, r) for r in rules)) for name, shown, rules in _columns(found)
    ]
    put_table(("column", "shown as", "because of"), rows)


def _times(policy: Policy) -> str:
    """From when to when a policy holds."""
    moments = (("from", policy.not_before), ("until", policy.expires_at))
    return " ".join(f"{word} {moment:%Y-%m-%d %H:%M} UTC" for word, moment in moments if moment is not None)


def _columns(found: Explained) -> list[tuple[str, str, tuple[str, ...]]]:
    from raymesh.governance.model import ReadPlan
    from raymesh.render.predicate import column_text
    from raymesh.spec.mask_words import mask_text

    decision = found.explanation.decision
    views = {c.name: c for c in decision.view.columns} if isinstance(decision, ReadPlan) else {}
    conflicts = decision.conflicts if isinstance(decision, ReadPlan) else ()
    out = []
    for reason in found.explanation.columns:
        text = column_text(views[reason.name]) if reason.name in views else mask_text(reason.mask)
        told = f"{text} (the masks conflict)" if reason.name in conflicts else text
        out.append((reason.name, told, reason.rules))
    return out


def _cited(found: Explained, rule: str) -> str:
    policy_ = found.policy(rule)
    return (
        rule
        if policy_ is None or policy_.span is None
        else f"{rule} ({policy_.span.file}:{policy_.span.line})"
    )


def explained_json(found: Explained) -> dict[str, Any]:
    """The same as `raymesh/policy-explain/1`."""
    from raymesh.governance.model import Deny, ReadPlan
    from raymesh.render.predicate import predicate_text

    decision = found.explanation.decision
    denial = decision if isinstance(decision, Deny) else None
    plan = decision if isinstance(decision, ReadPlan) else None
    return {
        "principal": found.principal.id,
        "product": found.target.table,
        "version": found.target.version if found.published else None,
        "purpose": found.asked.purpose,
        "action": found.asked.action,
        "allowed": plan is not None,
        "denial": denial and {"code": denial.code, "reason": denial.reason, "rules": denial.rules},
        "rows": plan and predicate_text(plan.view.rows),
        "row_rules": plan.row_rules if plan else [],
        "grants": plan.grants if plan else [],
        "valid_until": plan and plan.valid_until.isoformat(),
        "bundle": found.bundle.digest,
        "enforcement": "advisory",
        "not_in_force": [
            {"policy": p.name, "not_before": _iso(p.not_before), "expires_at": _iso(p.expires_at)}
            for p in found.idle
        ],
        "columns": [{"name": n, "shown": shown, "rules": rules} for n, shown, rules in _columns(found)],
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def show_cases(results: list[CaseResult]) -> None:
    """Results of tests, as text."""
    for result in results:
        put(f"{'✓' if result.passed else '✗'} {result.name}")
        for failure in result.failures:
            put(f"    {printable(failure)}")
        if result.failures:
            put(f"    {result.span}")
    failed = sum(not r.passed for r in results)
    put(f"{len(results) - failed} passed, {failed} failed")
    if not results:
        say(
            "next: describe what must hold in governance/policies/tests/NAME.yaml (raymesh schema PolicyTests)"
        )


def case_json(result: CaseResult) -> dict[str, Any]:
    """One test of `raymesh/policy-test/1`."""
    return {
        "name": result.name,
        "place": str(result.span),
        "passed": result.passed,
        "failures": list(result.failures),
    }


def show_differences(found: list[Difference]) -> None:
    """Who gains and loses what, as a table."""
    if not found:
        put("nobody gains or loses anything")
        return
    rows = [
        (d.principal, d.purpose or "–", d.table, d.column, d.sense, _seen(d.before), _seen(d.after))
        for d in found
    ]
    put_table(("who", "purpose", "product", "column", "", "before", "after"), rows)
    counts = {words: sum(d.sense == sense for d in found) for sense, words in _SENSES.items()}
    put(", ".join(f"{n} {words[n > 1]}" for words, n in counts.items() if n))


_SENSES = {
    "gains": ("gain", "gains"),
    "loses": ("loss", "losses"),
    "differs": ("other difference", "other differences"),
}
"""What the differences of each kind are called, one and several."""


def _seen(seen: Seen) -> str:
    from raymesh.mesh.plan import EVERY_ROW
    from raymesh.render.predicate import predicate_text
    from raymesh.spec.mask import Absent
    from raymesh.spec.mask_words import mask_text

    if isinstance(seen.mask, Absent) or seen.rows == EVERY_ROW:
        return mask_text(seen.mask)
    return f"{mask_text(seen.mask)} where {predicate_text(seen.rows)}"


def difference_json(difference: Difference) -> dict[str, Any]:
    """One difference of `raymesh/policy-diff/1`."""
    return {
        "principal": difference.principal,
        "purpose": difference.purpose,
        "product": difference.table,
        "column": difference.column,
        "sense": difference.sense,
        "before": _seen(difference.before),
        "after": _seen(difference.after),
    }


def policy_json(found: Policy) -> dict[str, Any]:
    """One policy of `raymesh/policy-ls/1`."""
    return {
        "name": found.name,
        "effect": found.effect,
        "origin": found.origin,
        "who": who_text(found),
        "what": what_text(found),
        "says": says_text(found),
        "not_before": found.not_before and found.not_before.isoformat(),
        "expires_at": found.expires_at and found.expires_at.isoformat(),
        "exception_to": list(found.exception_to),
        "place": str(found.span) if found.span else None,
    }


def who_text(found: Policy) -> str:
    """Whom a policy is about."""
    who = found.who
    parts = [*sorted(who.groups), *sorted(who.principals)]
    parts += [f"{name} = {'|'.join(sorted(map(str, v)))}" for name, v in sorted(who.attributes.items())]
    if who.purposes:
        parts.append(f"for {'|'.join(sorted(who.purposes))}")
    return ", ".join(parts) or "everybody"


def what_text(found: Policy) -> str:
    """What a policy is about."""
    what = found.what
    parts = [*(f"{d}.*" for d in sorted(what.domains)), *sorted(what.products)]
    parts += [f"tag {t}" for t in sorted(what.tags)] + [f"column {c}" for c in sorted(what.columns)]
    return ", ".join(parts) or "everything"


def says_text(found: Policy) -> str:
    """What a policy says: rows, mask, end."""
    from raymesh.render.predicate import predicate_text
    from raymesh.spec.mask_words import mask_text

    parts: list[str] = [] if found.action == "read" else [found.action]
    if found.rows is not None:
        parts.append(f"rows where {predicate_text(found.rows)}")
    if found.mask is not None:
        parts.append(mask_text(found.mask))
    if found.exception_to:
        parts.append(f"exception to {', '.join(found.exception_to)}")
    if found.expires_at is not None:
        parts.append(f"until {found.expires_at:%Y-%m-%d}")
    return ", ".join(parts)
