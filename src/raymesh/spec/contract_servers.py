"""Servers of an ODCS contract: where the data is, and which keys each type of server has."""

from typing import Literal

from pydantic import Field

from raymesh.spec.bitol import CustomProperty
from raymesh.spec.model import Many, Maybe, Model, PortNumber, StableId

ServerType = Literal[
    "api", "athena", "azure", "bigquery", "btrieve", "clickhouse", "cloudsql", "custom", "databricks", "db2",
    "denodo", "dremio", "duckdb", "exasol", "fastobjects", "glue", "hana", "hive", "iceberg", "impala",
    "informix", "ingres", "kafka", "kinesis", "local", "mysql", "oracle", "poet", "postgres", "postgresql",
    "presto", "pubsub", "redshift", "s3", "sftp", "snowflake", "sqlserver", "synapse", "teradata", "trino",
    "vectorwise", "versant", "vertica", "zen",
]  # fmt: skip

_CUSTOM_KEYS = (
    "account catalog database dataset delimiter endpointUrl format encoding host location path port "
    "project region regionName schema serviceName stagingDir warehouse stream"
)
SERVER_KEYS: dict[str, tuple[str, str]] = {
    "api": ("location", ""),
    "athena": ("schema", "stagingDir catalog regionName workgroup"),
    "azure": ("location format", "encoding delimiter"),
    "bigquery": ("project dataset", ""),
    "btrieve": ("host database", "port"),
    "clickhouse": ("host port database", ""),
    "cloudsql": ("host port database schema", ""),
    "custom": ("", _CUSTOM_KEYS),
    "databricks": ("catalog schema", "host"),
    "db2": ("host port database", "schema"),
    "denodo": ("host port", "database"),
    "dremio": ("host port", "schema"),
    "duckdb": ("database", "schema"),
    "exasol": ("host", "port schema"),
    "fastobjects": ("database", "host port"),
    "glue": ("account database", "location format encoding"),
    "hana": ("host", "port database schema"),
    "hive": ("host database", "port"),
    "iceberg": ("catalog catalogUrl", "namespace warehouse"),
    "impala": ("host database", "port"),
    "informix": ("host database", "port"),
    "ingres": ("database host", "port"),
    "kafka": ("host", "format encoding"),
    "kinesis": ("", "region format encoding"),
    "local": ("path format", "encoding"),
    "mysql": ("host port database", ""),
    "oracle": ("host port serviceName", ""),
    "poet": ("database", "host port"),
    "postgres": ("host port database schema", ""),
    "postgresql": ("host port database schema", ""),
    "presto": ("host", "catalog schema"),
    "pubsub": ("project", ""),
    "redshift": ("database schema", "host region account"),
    "s3": ("location", "endpointUrl format encoding delimiter"),
    "sftp": ("location", "format encoding delimiter"),
    "snowflake": ("account database schema", "host port warehouse"),
    "sqlserver": ("host database schema", "port"),
    "synapse": ("host port database", ""),
    "teradata": ("host", "port database"),
    "trino": ("host port catalog schema", ""),
    "vectorwise": ("database host", "port"),
    "versant": ("database", "host port"),
    "vertica": ("host port database schema", ""),
    "zen": ("host database", "port"),
}
"""Per type: the keys it must have, and the keys it may have, besides the common ones."""

COMMON_SERVER_KEYS = frozenset(
    {"id", "server", "type", "environment", "description", "roles", "customProperties"}
)


class Role(Model):
    id: Maybe[StableId] = None
    role: str
    description: Maybe[str] = None
    access: Maybe[str] = None
    first_level_approvers: Maybe[str] = None
    second_level_approvers: Maybe[str] = None
    custom_properties: Many[CustomProperty] = ()


class Server(Model):
    """Every key any type of server has; SERVER_KEYS says which belong to `type`."""

    id: Maybe[StableId] = None
    server: str
    type: ServerType
    environment: Maybe[str] = None
    description: Maybe[str] = None
    roles: Many[Role] = ()
    custom_properties: Many[CustomProperty] = ()
    account: Maybe[str] = None
    catalog: Maybe[str] = None
    catalog_url: Maybe[str] = None
    database: Maybe[str] = None
    dataset: Maybe[str] = None
    delimiter: Maybe[str] = None
    encoding: Maybe[str] = None
    endpoint_url: Maybe[str] = None
    format: Maybe[str] = None
    host: Maybe[str] = None
    location: Maybe[str] = None
    namespace: Maybe[str] = None
    path: Maybe[str] = None
    port: Maybe[PortNumber] = None
    project: Maybe[str] = None
    region: Maybe[str] = None
    region_name: Maybe[str] = None
    schema_name: Maybe[str] = Field(None, alias="schema")
    service_name: Maybe[str] = None
    staging_dir: Maybe[str] = None
    stream: Maybe[str] = None
    warehouse: Maybe[str] = None
    workgroup: Maybe[str] = None
