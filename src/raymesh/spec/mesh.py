"""mesh.yaml: where data and state live, which engines build, how long versions are kept."""

from typing import Annotated, Literal

from pydantic import Field

from raymesh.spec.model import Bytes, Maybe, Model, Name, Seconds
from raymesh.spec.secrets import Address, Secret, SecretAddress, SecretRef

EngineName = Literal["local", "ray", "auto"]
Positive = Annotated[int, Field(ge=1)]


class LocalEngineSpec(Model):
    """Limits of the local engine; `memory` and `scratch_size` in bytes, None means: decided at run time."""

    memory: Maybe[Bytes] = None
    threads: Maybe[Positive] = None
    scratch: Maybe[str] = None
    scratch_size: Maybe[Bytes] = None


class RayEngineSpec(Model):
    """`address` is a running Ray cluster (`auto`, `ray://host:10001`); None starts one on this machine."""

    address: Maybe[str] = None


class Engines(Model):
    default: EngineName = "local"
    local: LocalEngineSpec = LocalEngineSpec.model_construct()
    ray: RayEngineSpec = RayEngineSpec.model_construct()


class SnapshotPolicy(Model):
    """A version is kept while it is one of the `keep` newest or younger than `max_age` seconds."""

    keep: Maybe[Positive] = None
    max_age: Maybe[Seconds] = None


class S3Storage(Model):
    """How to reach an S3 bucket; keys are references, never text."""

    endpoint_url: Maybe[Address] = None
    region: Maybe[str] = None
    access_key_id: Maybe[Secret] = None
    secret_access_key: Maybe[Secret] = None
    session_token: Maybe[Secret] = None


class Storage(Model):
    s3: Maybe[S3Storage] = None


class MeshSpec(Model):
    """The whole mesh. `warehouse` and a SQLite `state` are relative to the folder of mesh.yaml."""

    api_version: Literal["raymesh/v1"]
    kind: Literal["Mesh"]
    name: Name
    description: Maybe[str] = None
    warehouse: Address = ".raymesh/warehouse"
    state: SecretAddress = SecretRef("sqlite:///.raymesh/mesh.db")
    engines: Engines = Engines.model_construct()
    snapshots: SnapshotPolicy = SnapshotPolicy.model_construct(keep=10, max_age=2592000)
    storage: Storage = Storage.model_construct()
