"""The governance report as one HTML page: no scripts, no outside addresses, everything escaped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
@media(prefers-color-scheme:dark){body{color:#e6e8ea;background:#14171a}th,td{border-color:#3a4048}}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}
th,td{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #d5d9de}
h2{margin-top:2rem}h3{margin:1.5rem 0 .2rem}p{margin:.3rem 0}
.state{font-weight:600}.kept{color:#1a7f37}.broken{color:#cf222e}.excepted,.unknown{color:#9a6700}
small{opacity:.75}
"""


def page(report: Mapping[str, Any]) -> str:
    """The document of the report (`governance-report/1`) as a page."""
    return "".join(_page(report))


def _page(report: Mapping[str, Any]) -> Iterator[str]:
    about = f"domain {report['domain']}" if report["domain"] else "all domains"
    title = escape(f"Governance of {report['mesh']}, {about}")
    yield f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
    yield f"<h1>{title}</h1><p>{escape(report['at'])}, standards {_or_none(report['standards_version'])}, "
    yield f"{report['products']} products.</p><p><small>{escape(report['notice'])}</small></p>"
    yield "<h2>Rules</h2>"
    yield _table(
        ("rule", "state", "violations", "lifecycle", "articles"),
        [
            [
                f"<a href='#{escape(r['rule'])}'>{escape(r['rule'])}</a>",
                _state(r["state"]),
                str(len(r["violations"])),
                escape(r["lifecycle"]),
                escape(", ".join(r["requirements"])),
            ]
            for r in report["rules"]
        ],
    )
    for rule in report["rules"]:
        yield from _rule(rule)
    yield "<h2>Articles</h2>"
    yield _table(
        ("article", "", "rules that serve it"),
        [
            [
                escape(a["article"]),
                escape(a["title"]),
                ", ".join(f"{escape(r['rule'])} ({_state(r['state'])})" for r in a["rules"]),
            ]
            for a in report["articles"]
        ],
    )
    yield "</html>\n"


def _rule(rule: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h3 id='{escape(rule['rule'])}'>{escape(rule['rule'])} {_state(rule['state'])}</h3>"
    yield f"<p>{escape(rule['title'])}</p>"
    if rule["rests_on"]:
        yield f"<p><small>rests on: {escape(rule['rests_on'])}</small></p>"
    if rule["failed"]:
        yield f"<p>could not be evaluated: {escape(rule['failed'])}</p>"
    if rule["violations"]:
        yield _table(
            ("product", "column", "violation", "owner", "since", "where"),
            [
                [
                    _or_none(v["product"]),
                    escape(v["column"] or ""),
                    escape(v["message"]) + _exception(v["exception"]),
                    escape(v["owner"]),
                    escape(v["since"][:10]),
                    escape(v["place"] or ""),
                ]
                for v in rule["violations"]
            ],
        )


def _exception(said: Mapping[str, Any] | None) -> str:
    if said is None:
        return ""
    people, until = ", ".join(said["approved_by"]), said["expires"][:10]
    words = f"excepted until {until} by {people}: {said['reason']}"
    return f"<br><small>{escape(words)}</small>"


def _state(state: str) -> str:
    return f"<span class='state {escape(state)}'>{escape(state)}</span>"


def _or_none(text: str | None) -> str:
    return escape(text) if text else "–"


def _table(headers: tuple[str, ...], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(h)}</th>" for h in headers)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
