"""The kinds of documents and the model of each."""

from raymesh.spec.contract import Contract
from raymesh.spec.domain import DomainSpec
from raymesh.spec.mesh import MeshSpec
from raymesh.spec.model import Model
from raymesh.spec.product import DataProduct
from raymesh.spec.source import Source

KINDS: dict[str, type[Model]] = {
    "Mesh": MeshSpec,
    "Domain": DomainSpec,
    "Source": Source,
    "DataProduct": DataProduct,
    "DataContract": Contract,
}
