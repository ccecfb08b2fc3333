"""The manifests and images of deploy/ hang together, as far as can be said without Kubernetes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
CLUSTER = {
    "headGroupSpec",
    "workerGroupSpecs",
    "rayVersion",
    "enableInTreeAutoscaling",
    "autoscalerOptions",
    "suspend",
    "headServiceAnnotations",
    "gcsFaultToleranceOptions",
    "authOptions",
    "managedBy",
    "upgradeStrategy",
}
HEAD = {"serviceType", "headService", "enableIngress", "rayStartParams", "template", "resources", "labels"}
WORKERS = {
    "groupName",
    "replicas",
    "minReplicas",
    "maxReplicas",
    "numOfHosts",
    "idleTimeoutSeconds",
    "rayStartParams",
    "template",
    "scaleStrategy",
    "suspend",
    "resources",
    "labels",
}
AUTOSCALER = {
    "version",
    "resources",
    "image",
    "imagePullPolicy",
    "env",
    "envFrom",
    "volumeMounts",
    "securityContext",
    "idleTimeoutSeconds",
    "upscalingMode",
}
JOB = {
    "activeDeadlineSeconds",
    "backoffLimit",
    "rayClusterSpec",
    "submitterPodTemplate",
    "metadata",
    "clusterSelector",
    "submitterConfig",
    "managedBy",
    "deletionStrategy",
    "entrypoint",
    "runtimeEnvYAML",
    "jobId",
    "submissionMode",
    "entrypointResources",
    "entrypointNumCpus",
    "entrypointNumGpus",
    "ttlSecondsAfterFinished",
    "shutdownAfterJobFinishes",
    "suspend",
}


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text(encoding="utf-8")))


def parts(value: Any, key: str) -> Iterator[Any]:
    """Everything that stands under `key`, at any depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key:
                yield inner
            yield from parts(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from parts(inner, key)


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda f: f.name)
def test_every_manifest_is_yaml_with_a_kind_and_a_name(file: Path) -> None:
    for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
        assert document["apiVersion"]
        assert document["kind"]
        if document["kind"] not in ("Kustomization", "Mesh"):
            assert {"name", "generateName"} & set(document["metadata"])


def test_the_cluster_uses_fields_that_the_operator_knows() -> None:
    (cluster,) = documents("raycluster.yaml")
    assert (cluster["apiVersion"], cluster["kind"]) == ("ray.io/v1", "RayCluster")
    spec = cluster["spec"]
    assert set(spec) <= CLUSTER
    assert set(spec["headGroupSpec"]) <= HEAD
    assert set(spec["autoscalerOptions"]) <= AUTOSCALER
    for group in spec["workerGroupSpecs"]:
        assert set(group) <= WORKERS
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        assert all(isinstance(v, str) for v in group["rayStartParams"].values())
    assert all(isinstance(v, str) for v in spec["headGroupSpec"]["rayStartParams"].values())
    names = [g["groupName"] for g in spec["workerGroupSpecs"]]
    assert len(set(names)) == len(names)


def test_the_job_uses_fields_that_the_operator_knows_and_finds_the_cluster() -> None:
    (job,) = documents("rayjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert set(job["spec"]) <= JOB
    (cluster,) = documents("raycluster.yaml")
    assert job["spec"]["clusterSelector"] == {"ray.io/cluster": cluster["metadata"]["name"]}
    (policy,) = documents("networkpolicy.yaml")
    assert policy["spec"]["podSelector"]["matchLabels"] == {"ray.io/cluster": cluster["metadata"]["name"]}
    submitter = job["spec"]["submitterPodTemplate"]["metadata"]["labels"]["app.kubernetes.io/component"]
    assert submitter in list(parts(policy, "app.kubernetes.io/component"))


def test_the_job_runs_a_command_that_raymesh_understands() -> None:
    from raymesh.cli.app import cli

    (job,) = documents("rayjob.yaml")
    program, flag, folder, verb, *words = job["spec"]["entrypoint"].split()
    assert (program, flag, folder) == ("raymesh", "-C", "/mesh")
    command = cli.get_command(None, verb)  # type: ignore[arg-type]
    assert command is not None
    command.make_context(verb, words)


def test_every_secret_is_a_reference_to_one_that_is_described() -> None:
    described = {d["metadata"]["name"]: set(d["stringData"]) for d in documents("secrets.example.yaml")}
    assert not any(v for d in documents("secrets.example.yaml") for v in d["stringData"].values())
    referred = set()
    for name in ("raycluster.yaml", "rayjob.yaml"):
        for reference in parts(documents(name), "secretKeyRef"):
            assert reference["key"] in described[reference["name"]]
            referred.add(reference["name"])
        for env in parts(documents(name), "env"):
            for variable in env:
                secret = re.search(r"TOKEN|PASSWORD|SECRET|KEY", variable["name"])
                assert not secret or "valueFrom" in variable, variable["name"]
    assert referred == set(described)


def test_every_pod_asks_for_the_token_and_workers_know_no_database() -> None:
    (cluster,) = documents("raycluster.yaml")
    spec = cluster["spec"]
    pods = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    for pod in pods:
        for container in pod["template"]["spec"]["containers"]:
            names = {v["name"] for v in container["env"]}
            assert {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "S3_SECRET_ACCESS_KEY"} <= names
            if pod is not spec["headGroupSpec"]:
                assert "PGPASSWORD" not in names
    assert {v["name"] for v in spec["autoscalerOptions"]["env"]} == {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"}


def test_containers_are_locked_down_and_limited() -> None:
    for name in ("raycluster.yaml", "rayjob.yaml"):
        for containers in parts(documents(name), "containers"):
            for container in containers:
                security = container["securityContext"]
                assert security["runAsNonRoot"] is True
                assert security["allowPrivilegeEscalation"] is False
                assert security["capabilities"] == {"drop": ["ALL"]}
                assert set(container["resources"]["limits"]) >= {"cpu", "memory"}


def test_shared_memory_holds_the_object_store() -> None:
    """Ray takes 30 % of memory for objects, and at most what /dev/shm has."""
    (cluster,) = documents("raycluster.yaml")
    for group in cluster["spec"]["workerGroupSpecs"]:
        pod = group["template"]["spec"]
        memory = int(pod["containers"][0]["resources"]["limits"]["memory"].removesuffix("Gi"))
        shared = next(v for v in pod["volumes"] if v["name"] == "shared")["emptyDir"]
        assert shared["medium"] == "Memory"
        assert int(shared["sizeLimit"].removesuffix("Gi")) >= 0.3 * memory


def test_the_kustomization_lists_what_is_there_and_no_secret() -> None:
    (kustomization,) = documents("kustomization.yaml")
    for name in kustomization["resources"]:
        assert (DEPLOY / "kubernetes" / name).is_file()
    assert not any("secret" in name for name in kustomization["resources"])
    images = {i["name"] for i in kustomization["images"]}
    assert set(parts(documents("raycluster.yaml"), "image")) <= images


def test_the_example_mesh_is_valid_and_names_variables_that_the_pods_have(tmp_path: Path) -> None:

    from raymesh.spec.mesh_file import load_mesh_document

    text = (DEPLOY / "kubernetes" / "mesh.example.yaml").read_text(encoding="utf-8")
    (tmp_path / "mesh.yaml").write_text(text, encoding="utf-8")
    spec = load_mesh_document(tmp_path, {}).model
    assert spec.engines.ray.shared
    (cluster,) = documents("raycluster.yaml")
    head = cluster["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    assert set(re.findall(r"\$\{env:(\w+)\}", text)) <= {v["name"] for v in head["env"]}


def instructions(name: str) -> list[tuple[str, str]]:
    text = (DEPLOY / name).read_text(encoding="utf-8")
    lines = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", text)).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines) if word]


@pytest.mark.parametrize("name", ["Dockerfile", "mesh.Dockerfile"])
def test_images_are_built_from_known_instructions_without_root_or_secrets(name: str) -> None:
    found = instructions(name)
    known = {"FROM", "ARG", "WORKDIR", "COPY", "RUN", "ENV", "USER", "ENTRYPOINT", "CMD"}
    assert {word for word, _ in found} <= known
    assert not any(
        re.search(r"(?i)token|password|secret", rest) for word, rest in found if word in ("ARG", "ENV")
    )
    assert not any(rest.split()[0].endswith(":latest") for word, rest in found if word == "FROM")


def test_the_image_copies_what_exists_and_installs_extras_that_exist() -> None:
    import tomllib

    found = instructions("Dockerfile")
    for _, rest in (i for i in found if i[0] == "COPY"):
        words = [w for w in rest.split() if not w.startswith("--")]
        if not rest.startswith("--from"):
            assert all((ROOT / w).exists() for w in words[:-1]), rest
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = set(project["optional-dependencies"])
    (install,) = re.findall(r"'\.\[([\w,]+)\]'", " ".join(rest for _, rest in found))
    assert set(install.split(",")) <= extras
    assert {"ray", "s3", "postgres"} <= set(install.split(","))
    users = [rest for word, rest in found if word == "USER"]
    assert users[-1] == "1000"


def test_image_and_manifest_agree_about_ray() -> None:
    (cluster,) = documents("raycluster.yaml")
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    found = re.search(r"(?m)^ray==(\S+)", lock)
    assert found is not None
    assert found[1] == cluster["spec"]["rayVersion"]
