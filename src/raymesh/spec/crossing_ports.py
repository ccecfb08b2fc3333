"""What a product's ports, their contracts and the settings that name columns must agree on."""

from collections.abc import Iterator
from typing import Any

from raymesh.spec.contract import Contract
from raymesh.spec.documents import DEFAULT_PORT, Document
from raymesh.spec.model import NAME_WORDS, Model, is_name
from raymesh.spec.problems import Problem
from raymesh.spec.product import DataProduct, OutputPort
from raymesh.spec.reading import Reader
from raymesh.spec.settings import (
    NO_SETTINGS,
    VENDOR,
    NoSettings,
    PropertySettings,
    RuleSettings,
    Settings,
    settings_in,
)
from raymesh.spec.wording import did_you_mean, listed
from raymesh.spec.yaml import Loc

RESERVED_PORTS = frozenset({DEFAULT_PORT, "quarantine"})

Contracts = dict[str, Document[Contract] | None]


def check_ports(reader: Reader, product: Document[DataProduct], contracts: Contracts) -> None:
    """Every output port has a contract of its id and version, every contract an output port."""
    directory = product.path.rpartition("/")[0]
    if DEFAULT_PORT not in contracts:
        message = f"{directory}/contract.yaml is missing"
        way = "a product promises its table in a contract; raymesh infer writes one from data"
        reader.report("missing-document", message, product.span(), way)
    for port in contracts:
        if port != DEFAULT_PORT and (port in RESERVED_PORTS or not is_name(port)):
            document = contracts[port]
            message = f"`{port}` cannot be the name of a port: it takes {NAME_WORDS}"
            if port in RESERVED_PORTS:
                message = f"a port cannot be called `{port}`: raymesh uses that name itself"
            reader.report("wrong-name", message, document.span() if document else product.span())
    reader.place(product, list(_port_problems(product.model, contracts, directory)))


def _port_problems(product: DataProduct, contracts: Contracts, directory: str) -> Iterator[Problem]:
    taken: set[str] = set()
    rest: list[tuple[int, OutputPort]] = []
    for index, port in enumerate(product.output_ports):
        if port.name in contracts and port.name != DEFAULT_PORT:
            taken.add(port.name)
            yield from _pair_problems(port, index, contracts[port.name])
        else:
            rest.append((index, port))
    default = contracts.get(DEFAULT_PORT)
    chosen = _default_port(rest, default)
    for index, port in rest:
        if index == chosen:
            taken.add(DEFAULT_PORT)
            yield from _pair_problems(port, index, default)
        elif chosen is not None or default is None:
            message = f"the output port `{port.name}` has no contract"
            yield Problem(
                ("outputPorts", index),
                "port-contract",
                message,
                f"write {directory}/contracts/{port.name}.yaml",
            )
    for name, contract in contracts.items():
        if name not in taken and contract is not None:
            file = contract.path.removeprefix(f"{directory}/")
            shown = directory.rpartition("/")[2] if name == DEFAULT_PORT else name
            way = f'add `{{name: {shown}, contractId: {contract.model.id}, version: "{contract.model.version}"}}`'
            yield Problem(
                ("outputPorts",), "port-contract", f"no output port has the contract {file}", way, "key"
            )


def _default_port(ports: list[tuple[int, OutputPort]], contract: Document[Contract] | None) -> int | None:
    """Which output port is the default one: that with the contract's id, or the only one left."""
    if contract is not None:
        for index, port in ports:
            if port.contract_id == contract.model.id:
                return index
    return ports[0][0] if len(ports) == 1 else None


def _pair_problems(port: OutputPort, index: int, contract: Document[Contract] | None) -> Iterator[Problem]:
    if contract is None:
        return
    pairs = (
        ("contractId", port.contract_id, contract.model.id),
        ("version", port.version, contract.model.version),
    )
    for key, said, is_ in pairs:
        file = contract.path
        if said is None:
            message = f"the output port `{port.name}` does not say its contract's {key}"
            yield Problem(("outputPorts", index, key), "missing-key", message, f'add `{key}: "{is_}"`', "key")
        elif said != is_:
            what = "id" if key == "contractId" else "version"
            message = f"the contract's {what} is `{is_}` in {file}, not `{said}`"
            yield Problem(
                ("outputPorts", index, key), "contract-mismatch", message, f'write `{key}: "{is_}"`'
            )


def check_contract(
    reader: Reader, contract: Document[Contract], settings: Settings, product: Document[DataProduct] | None
) -> None:
    """The one table of a port, its columns, and the settings that name columns.

    `product` is given when the settings stand there, so that problems are placed where they are said.
    """
    problems = list(_table_problems(contract.model))
    if VENDOR in contract.positions.text:
        problems += _nested_settings(contract.raw, ())
    reader.place(contract, problems)
    names = [column.name for table in contract.model.objects[:1] for column in table.properties]
    if settings is not NO_SETTINGS and names:
        holder: Document[Any] = product or contract
        reader.place(holder, list(_column_settings(holder, settings, names)))


def _table_problems(contract: Contract) -> Iterator[Problem]:
    if not contract.objects:
        message = "the contract describes no table"
        yield Problem(
            ("schema",), "no-table", message, "add `schema:` with one object and its properties", "key"
        )
        return
    for index in range(1, len(contract.objects)):
        message = f"a port is one table, and this is object {index + 1} of the contract"
        yield Problem(
            ("schema", index), "several-tables", message, "give it a contract and a port of its own", "key"
        )
    table = contract.objects[0]
    if table.logical_type == "blob":
        message = "a port is a table; an object of files cannot be published"
        yield Problem(("schema", 0, "logicalType"), "no-table", message)
    if not table.properties:
        message = "the table promises no columns"
        yield Problem(("schema", 0), "no-columns", message, "add `properties`", "key", "warning")
    yield from _sla_problems(contract, table.name, {p.name.lower(): p.name for p in table.properties})


def _sla_problems(contract: Contract, table: str, columns: dict[str, str]) -> Iterator[Problem]:
    for index, promise in enumerate(contract.sla_properties):
        for element in (promise.element or "").split(","):
            name = element.strip().removeprefix(f"{table}.").partition(".")[0]
            if name and name.lower() not in columns and name != table:
                message, way = f"there is no column `{name}`", did_you_mean(name, columns.values())
                yield Problem(
                    ("slaProperties", index, "element"), "unknown-column", message, way, severity="warning"
                )


def _column_settings(holder: Document[Any], settings: Settings, names: list[str]) -> Iterator[Problem]:
    known = {name.lower() for name in names}
    named = {
        "incrementalColumn": (settings.incremental_column,) if settings.incremental_column else (),
        "partitionBy": settings.partition_by,
        "sortBy": settings.sort_by,
    }
    for setting, columns in named.items():
        place = setting_loc(holder, setting)
        for index, column in enumerate(columns):
            if column.lower() not in known:
                at = (*place, index) if setting != "incrementalColumn" else place
                way = did_you_mean(column, names) or f"the columns are {listed(names[:12])}"
                yield Problem(
                    at,
                    "unknown-column",
                    f"`{setting}` names the column `{column}`, which does not exist",
                    way,
                )
    if settings.mode == "append" and settings.incremental_column is None:
        message = "`mode: append` needs to know which column grows"
        yield Problem(
            setting_loc(holder, "mode"), "append-column", message, "add the setting `incrementalColumn`"
        )
    if settings.mode == "full" and settings.incremental_column is not None:
        message = "`incrementalColumn` has a meaning only with `mode: append`"
        place = setting_loc(holder, "incrementalColumn")
        yield Problem(place, "append-column", message, "add the setting `mode: append`", severity="warning")


def setting_loc(document: Document[Any], name: str) -> Loc:
    """Where the value of one of our settings stands in a product or contract."""
    for index, item in enumerate(document.model.custom_properties):
        if item.vendor == VENDOR and item.property == name:
            return ("customProperties", index, "value")
    return ("customProperties",)


def _nested_settings(value: Any, loc: Loc) -> Iterator[Problem]:
    """Problems of our settings anywhere below the root of a contract."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nested_settings(item, (*loc, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "customProperties":
                if loc:
                    yield from settings_in(item, _model_for(loc), (*loc, key))[1]
            elif isinstance(item, dict | list) and key not in ("value", "arguments", "implementation"):
                yield from _nested_settings(item, (*loc, key))


def _model_for(loc: Loc) -> type[Model]:
    owner = next(part for part in reversed(loc) if isinstance(part, str))
    models: dict[str, type[Model]] = {"properties": PropertySettings, "quality": RuleSettings}
    return models.get(owner, NoSettings)
