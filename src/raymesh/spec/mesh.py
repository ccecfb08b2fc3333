"""mesh.yaml: where data and state live, which engines build, how long versions are kept."""

from typing import Annotated, Literal

from pydantic import Field

from raymesh.spec.model import Bytes, Many, Maybe, Model, Name, Number, Seconds
from raymesh.spec.secrets import Address, Secret, SecretAddress, SecretRef

EngineName = Literal["local", "ray", "auto"]
SigningAlgorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
"""Public-key signatures only: with a shared secret everybody who can check a token could make one."""
Issuer = Annotated[str, Field(pattern=r"^(https://|http://(127\.0\.0\.1|localhost)[:/])[^\s?#]*$")]
Positive = Annotated[int, Field(ge=1)]


class LocalEngineSpec(Model):
    """Limits of the local engine; `memory` and `scratch_size` in bytes, None means: decided at run time."""

    memory: Maybe[Bytes] = None
    threads: Maybe[Positive] = None
    scratch: Maybe[str] = None
    scratch_size: Maybe[Bytes] = None


class RayEngineSpec(Model):
    """`address` is a running Ray cluster (`auto`, `host:6379`); without it `RAY_ADDRESS`, a head kept on this
    machine, or one started for the command.

    `cpus`, `memory`, `object_store`, `spill` and `resources` are what a cluster started by raymesh has: processors
    and bytes its tasks may take, bytes of shared memory for what they exchange, the folder for what does not fit,
    amounts of anything else. `autoscaling` says that the cluster grows when asked: what no node has now is then
    waited for, at most `patience` seconds. `shared` says that every node has the mesh's folder under the same path;
    otherwise the files of a domain travel to the tasks of its builds.
    """

    address: Maybe[str] = None
    token: Maybe[Secret] = None
    cpus: Maybe[Positive] = None
    memory: Maybe[Bytes] = None
    object_store: Maybe[Bytes] = None
    spill: Maybe[str] = None
    resources: dict[str, Number] = Field(default_factory=dict)
    shared: bool = False
    autoscaling: bool = False
    patience: Seconds = 600


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


class Encryption(Model):
    """How data is encrypted where it lies, in the words of whoever answers for it. raymesh passes the statement on
    and does not check it."""

    at_rest: Annotated[str, Field(min_length=1)]
    stated_by: Annotated[str, Field(min_length=1)]


class Storage(Model):
    s3: Maybe[S3Storage] = None
    encryption: Maybe[Encryption] = None


PublicKey = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""An Ed25519 public key, 64 hexadecimal digits."""


class Keys(Model):
    """Secrets of governance. Without one a key is made on first use and kept in `.raymesh`, for this machine."""

    tokens: Maybe[Secret] = None
    audit: Maybe[Secret] = None


class GovernanceSettings(Model):
    """`ttl`: for how many seconds a decision may be relied on. With `bundle_keys` policies must be signed by one
    of them; `audit_keys` are trusted to sign the audit log, beside this machine's own. `release` is raised to
    return to policies that were in force before."""

    ttl: Seconds = 300
    release: Positive = 1
    bundle_keys: Many[PublicKey] = ()
    audit_keys: Many[PublicKey] = ()


class OidcSpec(Model):
    """A provider of OpenID Connect: whose tokens are believed, and which claims of them mean what.

    `max_lifetime`: the longest a token may have been issued for, in seconds, and so how long a change of groups
    can go unnoticed at most.
    """

    issuer: Issuer
    audience: Annotated[str, Field(min_length=1)]
    algorithms: Annotated[Many[SigningAlgorithm], Field(min_length=1)] = ("RS256",)
    groups_claim: Maybe[str] = None
    attributes: dict[str, str] = Field(default_factory=dict)
    purposes_claim: Maybe[str] = None
    leeway: Annotated[Seconds, Field(le=30)] = 10
    max_lifetime: Seconds = 3600


class IdentitySpec(Model):
    """Who reads when nobody is named, and the provider that proves who somebody is."""

    default: Maybe[str] = None
    oidc: Maybe[OidcSpec] = None


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
    identity: IdentitySpec = IdentitySpec.model_construct()
    keys: Keys = Keys.model_construct()
    governance: GovernanceSettings = GovernanceSettings.model_construct()
