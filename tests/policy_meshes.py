"""A small governed mesh as files."""

from __future__ import annotations

from pathlib import Path

HEAD = "apiVersion: raymesh/v1\nkind: {}\n"
MESH = HEAD.format("Mesh") + "name: shop\n"
BASE = """\
policies:
  - name: analysts-read-households
    effect: grant
    who: {groups: [analysts]}
    what: {products: [customer.households]}
    rows: "region = principal.region and deleted is null"
  - name: mask-direct-identifiers
    effect: mask
    what: {tags: [pii.direct]}
    mask: token
  - name: coarse-births
    effect: mask
    what: {tags: [pii.quasi.birth_date]}
    mask: {truncate: year}
  - name: contractors-never
    effect: deny
    who: {groups: [contractors]}
    what: {domains: [customer]}
  - name: orders-may-grant
    effect: delegate
    what: {domains: [orders], tags: [pii]}
"""
OWN = """\
policies:
  - name: everybody-reads-lines
    effect: grant
    what: {products: [orders.lines]}
"""
USERS = """\
users:
  - {name: anna, groups: [analysts], attributes: {region: EU}, purposes: [reporting]}
  - {name: ben, groups: [contractors]}
"""
HOUSEHOLDS = {
    "household_id": "logicalType: integer, physicalType: bigint, tags: [internal]",
    "email": "logicalType: string, physicalType: varchar, tags: [pii.direct.email]",
    "region": "logicalType: string, physicalType: varchar, tags: [internal]",
    "birth_date": "logicalType: date, physicalType: date, tags: [pii.quasi.birth_date]",
    "deleted": "logicalType: date, physicalType: date, tags: [internal]",
}
LINES = {
    "line_id": "logicalType: integer, physicalType: bigint, tags: [internal]",
    "amount": 'logicalType: number, physicalType: "decimal(10,2)", tags: [internal]',
}
HOUSEHOLDS_SQL = """\
SELECT 1::bigint AS household_id, 'a@x' AS email, 'EU' AS region, DATE '1990-05-03' AS birth_date, NULL::date AS deleted
"""
LINES_SQL = "SELECT 1::bigint AS line_id, 2.50::decimal(10,2) AS amount\n"


def policies(text: str) -> str:
    return HEAD.format("Policies") + text


def product(name: str, columns: dict[str, str], custom: str = "") -> dict[str, str]:
    """The files of a product by path."""
    domain, _, short = name.partition(".")
    folder = f"domains/{domain}/products/{short}"
    properties = "".join(f"      - {{name: {n}, {said}}}\n" for n, said in columns.items())
    return {
        f"{folder}/product.yaml": (
            f"apiVersion: v1.1.0\nkind: DataProduct\nid: {short}\nname: {short}\ndomain: {domain}\n"
            f'outputPorts:\n  - {{name: {short}, contractId: {short}, version: "1.0.0"}}\n{custom}'
        ),
        f"{folder}/contract.yaml": (
            f'apiVersion: v3.2.0\nkind: DataContract\nid: {short}\nversion: "1.0.0"\nschema:\n  - name: {short}\n'
            f"    properties:\n{properties}"
        ),
    }


def governed_mesh(root: Path, changed: dict[str, str | None] | None = None) -> Path:
    """The mesh in the folder `root`, which exists; `changed` puts other texts, or nothing, in place of files."""
    domain = HEAD.format("Domain") + "name: {0}\nowner: {{team: {0}-team}}\n"
    files: dict[str, str | None] = {
        "mesh.yaml": MESH,
        "domains/customer/domain.yaml": domain.format("customer"),
        "domains/orders/domain.yaml": domain.format("orders"),
        **product("customer.households", HOUSEHOLDS),
        **product("orders.lines", LINES),
        "domains/customer/products/households/transform.sql": HOUSEHOLDS_SQL,
        "domains/orders/products/lines/transform.sql": LINES_SQL,
        "governance/policies/base.yaml": policies(BASE),
        "governance/users.yaml": HEAD.format("Users") + USERS,
        "domains/orders/policies/own.yaml": policies(OWN),
        **(changed or {}),
    }
    for path, text in files.items():
        if text is not None:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
    return root
