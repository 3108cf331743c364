"""What is deployed is right by its schemas, and has no right that it does not need."""

from __future__ import annotations

import ipaddress
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import trio
import yaml
from yamllint import linter
from yamllint.config import YamlLintConfig

from actors.metrics.series import Series
from channels.settings.catalogue import CATALOGUE
from commands.fleet.descriptors import A_NETWORK, A_PROCESS, A_ROOM
from playground.livekit_build.binary import find_or_build
from sound.models import wheel_file
from tests.agent_process import ROOT

DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
VERSIONS = ("1.30", "1.37")
"""The oldest that has all that is used, and the newest that is known."""
DRAIN_S = CATALOGUE["worker.drain_s"].default
TO_END_WHAT_IS_LEFT_S = 30

Manifest = dict[str, Any]


def read(path: Path) -> Manifest:
    content: Manifest = yaml.safe_load(path.read_text())
    return content


MANIFESTS = {
    path.name: read(path) for path in sorted(KUBERNETES.glob("*.yaml")) if path.name != "kustomization.yaml"
}
"""Those of Kubernetes itself, by their file's name."""
BY_KIND = {manifest["kind"]: manifest for manifest in MANIFESTS.values()}
COMPOSE = read(DEPLOY / "compose.yaml")
POD = BY_KIND["Deployment"]["spec"]["template"]
WORKER = POD["spec"]["containers"][0]


def leaves(content: Any) -> Iterator[str]:
    """All texts in it."""
    match content:
        case dict():
            for name, value in content.items():
                yield str(name)
                yield from leaves(value)
        case list():
            for value in content:
                yield from leaves(value)
        case str():
            yield content


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.yaml")), ids=lambda path: path.name)
def test_yaml_is_well_written(path: Path) -> None:
    config = YamlLintConfig(file=str(DEPLOY / ".yamllint.yaml"))
    assert [str(problem) for problem in linter.run(path.read_text(), config)] == []


@pytest.mark.skipif(sys.platform == "win32", reason="there is no hadolint")
def test_the_dockerfile_is_well_written() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert hadolint is not None, "make dev installs it"
    done = subprocess.run([hadolint, str(DEPLOY / "Dockerfile")], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", MANIFESTS.values(), ids=MANIFESTS)
def test_a_manifest_is_right_for_kubernetes(manifest: Manifest, version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_manifest_that_is_wrong_is_found() -> None:
    wrong = json.loads(json.dumps(BY_KIND["Deployment"]))
    wrong["spec"]["template"]["spec"]["terminationGracePeriod"] = 630
    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGracePeriod"):
        kubernetes_validate.validate(wrong, VERSIONS[1], strict=True)


def test_every_manifest_is_named_and_there() -> None:
    told = read(KUBERNETES / "kustomization.yaml")["resources"]
    assert sorted(told) == sorted(MANIFESTS)
    component = KUBERNETES / "prometheus"
    assert all((component / each).is_file() for each in read(component / "kustomization.yaml")["resources"])


def test_everything_that_chooses_pods_chooses_the_workers() -> None:
    labels = POD["metadata"]["labels"]
    chosen = [
        BY_KIND["Deployment"]["spec"]["selector"],
        BY_KIND["PodDisruptionBudget"]["spec"]["selector"],
        BY_KIND["NetworkPolicy"]["spec"]["podSelector"],
        read(KUBERNETES / "prometheus/podmonitor.yaml")["spec"]["selector"],
        *(each["labelSelector"] for each in POD["spec"]["topologySpreadConstraints"]),
    ]
    assert chosen == [{"matchLabels": labels}] * len(chosen)
    target = BY_KIND["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", BY_KIND["Deployment"]["metadata"]["name"])


def test_a_pod_has_no_right_that_it_does_not_need() -> None:
    spec, container = POD["spec"], WORKER["securityContext"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["readOnlyRootFilesystem"]
    assert not container["allowPrivilegeEscalation"]
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert not spec["automountServiceAccountToken"]
    assert not BY_KIND["ServiceAccount"]["automountServiceAccountToken"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    assert all("emptyDir" in volume for volume in spec["volumes"])


def test_kubernetes_waits_longer_than_a_drain_lasts() -> None:
    assert POD["spec"]["terminationGracePeriodSeconds"] >= DRAIN_S + TO_END_WHAT_IS_LEFT_S
    strategy = BY_KIND["Deployment"]["spec"]["strategy"]["rollingUpdate"]
    assert (strategy["maxUnavailable"], strategy["maxSurge"]) == (0, 1)


def test_the_autoscaler_acts_before_the_workers_refuse_and_alone_decides_how_many_there_are() -> None:
    scaler = BY_KIND["HorizontalPodAutoscaler"]["spec"]
    assert "replicas" not in BY_KIND["Deployment"]["spec"]
    assert scaler["minReplicas"] >= 2
    (metric,) = scaler["metrics"]
    target = metric["pods"]["target"]["averageValue"]
    assert int(target.removesuffix("m")) / 1000 < CATALOGUE["worker.most_load"].default
    rule = read(KUBERNETES / "prometheus/adapter-values.yaml")["rules"]["custom"][0]
    assert rule["seriesQuery"].startswith(metric["pods"]["metric"]["name"])


def test_the_metric_that_the_autoscaler_asks_for_is_told_by_a_worker() -> None:
    told = {family.name for family in Series().registry.collect()}
    (metric,) = BY_KIND["HorizontalPodAutoscaler"]["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] in told


def test_pods_may_reach_no_metadata_service() -> None:
    rules = BY_KIND["NetworkPolicy"]["spec"]["egress"]
    blocks = [peer["ipBlock"] for rule in rules for peer in rule["to"] if "ipBlock" in peer]

    def lets_out(address: str) -> bool:
        def within(network: str) -> bool:
            return ipaddress.ip_address(address) in ipaddress.ip_network(network)

        return any(
            within(block["cidr"]) and not any(map(within, block.get("except", []))) for block in blocks
        )

    assert lets_out("203.0.113.7")
    assert lets_out("2001:db8::7")
    # Those of the large clouds.
    assert not any(map(lets_out, ("169.254.169.254", "169.254.170.2", "fd00:ec2::254", "fe80::1")))


def test_compose_is_right_by_its_schema() -> None:
    schema = json.loads(
        wheel_file("check_jsonschema", "builtin_schemas/vendor/compose-spec.json").read_text()
    )
    validator = jsonschema.validators.validator_for(schema)(schema)
    # What begins with x- is dropped before anything is done with it.
    assert [error.message for error in validator.iter_errors(COMPOSE)] == []
    assert [*validator.iter_errors({**COMPOSE, "services": {"a": {"imag": "b"}}})]


@pytest.mark.parametrize("service", COMPOSE["services"].values(), ids=COMPOSE["services"])
def test_a_service_has_limits_a_health_check_and_no_right_that_it_does_not_need(service: Manifest) -> None:
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"cpus", "memory", "pids"} <= set(service["deploy"]["resources"]["limits"])
    assert "privileged" not in service
    # The image of a worker has its own.
    assert "healthcheck" in service or "build" in service
    assert service["restart"] == "unless-stopped"


def test_an_image_of_somebody_else_is_pinned() -> None:
    for service in COMPOSE["services"].values():
        image = service["image"]
        assert ":latest" not in image
        assert "build" in service or re.search(r":[\w.-]+@sha256:[0-9a-f]{64}$", image), image


def test_compose_starts_the_livekit_that_the_tests_are_run_with() -> None:
    recipe = (ROOT / "playground/livekit_build/go.mod").read_text()
    version = re.search(r"livekit-server (v\S+)", recipe)
    assert version is not None
    assert f":{version[1]}@" in COMPOSE["services"]["livekit"]["image"]


def test_compose_waits_longer_than_a_drain_lasts_and_has_two_workers() -> None:
    workers = [each for each in COMPOSE["services"].values() if "build" in each]
    assert len(workers) == 2
    for service in (*workers, COMPOSE["services"]["livekit"]):
        assert int(service["stop_grace_period"].removesuffix("s")) >= DRAIN_S + TO_END_WHAT_IS_LEFT_S


def test_redis_and_the_health_of_workers_are_published_to_nobody() -> None:
    services = COMPOSE["services"]
    assert COMPOSE["networks"]["store"]["internal"]
    assert services["redis"]["networks"] == ["store"]
    assert [name for name, service in services.items() if "ports" in service] == ["livekit"]


def test_no_key_stands_in_a_file() -> None:
    private = {setting.env for setting in CATALOGUE.values() if setting.rule.private}
    assert {"LIVEKIT_API_SECRET", "ASSEMBLYAI_API_KEY"} <= private
    for path in (path for path in DEPLOY.rglob("*") if path.is_file() and path.name != ".env"):
        for name in private:
            for value in re.findall(rf"{name}[=:] *(.*)", path.read_text()):
                # Nothing, or a reference of compose's.
                assert value == "" or value.startswith(("?", "-")), (path.name, name)
    assert [each for each in leaves(POD) if "SECRET" in each] == []
    assert {"secretRef": {"name": "voice-agent"}} in WORKER["envFrom"]


def test_settings_that_are_named_exist() -> None:
    known = {setting.env for setting in CATALOGUE.values()}
    for path in (path for path in DEPLOY.rglob("*") if path.is_file() and path.name != ".env"):
        assert set(re.findall(r"VOICE_AGENT_[A-Z_]+", path.read_text())) <= known, path.name
    page = (ROOT / "docs/deploying.md").read_text("utf-8")
    assert set(re.findall(r"VOICE_AGENT_[A-Z_]+", page)) <= known


@pytest.mark.server
async def test_livekit_takes_its_file(livekit: object, tmp_path: Path) -> None:
    """It misses the Redis, and complains of nothing before: a field that it does not know ends it."""
    server = await find_or_build(progress=print)  # the fixture has built it

    async def complaint(text: str) -> str:
        config = tmp_path / "livekit.yaml"
        config.write_text(text)
        environ = {"LIVEKIT_KEYS": "key: a-secret-of-more-than-thirty-two-characters", "NODE_IP": "127.0.0.1"}
        with trio.fail_after(30):
            done = await trio.run_process(
                [str(server), "--config", str(config)],
                env=environ,
                capture_stdout=True,
                stderr=subprocess.STDOUT,
                check=False,
            )
        return done.stdout.decode()

    ours = (DEPLOY / "livekit.yaml").read_text().replace("redis:6379", "127.0.0.1:1")
    told = await complaint(ours)
    assert "redis" in told
    assert "could not parse config" not in told
    assert "could not parse config" in await complaint(ours.replace("udp_port", "udp_prot"))


def test_the_page_names_files_that_are_there_and_figures_that_hold() -> None:
    page = (ROOT / "docs/deploying.md").read_text("utf-8")
    paths = set(re.findall(r"\bdeploy/[\w./-]+\w", page)) - {"deploy/.env"}
    assert len(paths) >= 6
    assert [path for path in paths if not (ROOT / path).exists()] == []
    table = page.partition("| Manifest |")[2].partition("\n\n")[0]
    assert {f"{name}.yaml" for name in re.findall(r"^\| `(\w+)\.yaml`", table, re.MULTILINE)} <= set(
        MANIFESTS
    )
    assert f"| {A_PROCESS}, and {A_ROOM + A_NETWORK} for each room; {A_NETWORK} more for each" in page
    assert f"Kubernetes {VERSIONS[0]} or newer" in page


def test_what_is_installed_in_the_image_is_what_is_tested() -> None:
    def pinned(name: str) -> set[str]:
        return set(re.findall(r"^[\w.-]+==[^\\\n]+", (ROOT / name).read_text(), re.MULTILINE))

    assert pinned("requirements-serve.lock") < pinned("requirements.lock")
