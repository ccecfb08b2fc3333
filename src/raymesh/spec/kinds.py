"""The kinds of documents and the model of each."""

from raymesh.spec.classifications import Classifications
from raymesh.spec.contract import Contract
from raymesh.spec.domain import DomainSpec
from raymesh.spec.mesh import MeshSpec
from raymesh.spec.model import Model
from raymesh.spec.policies import Policies, PolicyTests
from raymesh.spec.product import DataProduct
from raymesh.spec.source import Source
from raymesh.spec.standards import Standards
from raymesh.spec.users import Users

KINDS: dict[str, type[Model]] = {
    "Mesh": MeshSpec,
    "Domain": DomainSpec,
    "Source": Source,
    "DataProduct": DataProduct,
    "DataContract": Contract,
    "Policies": Policies,
    "PolicyTests": PolicyTests,
    "Classifications": Classifications,
    "Standards": Standards,
    "Users": Users,
}
