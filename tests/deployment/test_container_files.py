"""The container's files, as far as they can be tried where no engine is at hand."""

from __future__ import annotations

import fnmatch
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

import llmflowlab
from llmflowlab.cli.arguments import parse

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE = {
    name: (ROOT / name).read_text("utf-8")
    for name in ("docker-compose.yml", "deployment/compose.watch.yml")
}
FILES: dict[str, Any] = {name: yaml.safe_load(text) for name, text in COMPOSE.items()}
SERVICES = {name: service for file in FILES.values() for name, service in file["services"].items()}
OURS = ("mlflow", "service", "page")
VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)(?:(:-|:\?)([^}]*))?\}")


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions, each on one line."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.M)
    lines = re.sub(r"\s*\\\n\s*", " ", text).splitlines()
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in lines if line.strip()]


def filled(text: str) -> str:
    """Put the defaults in."""
    return VARIABLE.sub(lambda m: m[3] if m[2] == ":-" else "word", text)


def test_the_image_is_small_pinned_and_nobody_s_root() -> None:
    made = instructions()
    bases = [rest.split()[0] for name, rest in made if name == "FROM"]
    assert all(re.fullmatch(r"python:3\.\d+-slim-\w+", base) for base in bases)
    final = made[
        len(made) - next(i for i, (name, _) in enumerate(reversed(made)) if name == "FROM") :
    ]
    assert ("USER", "10001:10001") in final
    assert {"HEALTHCHECK", "ENTRYPOINT", "CMD", "VOLUME"} <= {name for name, _ in final}
    # No shell stands between the program and the signal that ends it.
    assert all(rest.startswith("[") for name, rest in final if name in {"ENTRYPOINT", "CMD"})
    for name, rest in made:
        assert name not in {"ADD", "MAINTAINER"}
        if "apt-get install" in rest:
            assert "--no-install-recommends" in rest
            assert "rm -rf /var/lib/apt/lists/*" in rest
        if "pip install" in rest:
            assert "--require-hashes" in rest or "--no-deps ." in rest
        assert not re.search(r"(?i)(password|secret|api_key)\s*=", rest)


def test_what_the_image_copies_is_there_and_goes_in() -> None:
    ignored = [
        line
        for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    taken = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        source
        for name, rest in instructions()
        if name == "COPY" and "--from=" not in rest
        for source in rest.split()[:-1]
    }
    assert {source.removeprefix("./") for source in copied} == taken
    for source in taken:
        assert (ROOT / source).exists(), source
    # What a build needs, by its own words.
    pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
    assert 'readme = "README.md"' in pyproject
    assert {"README.md", "LICENSE", "benchmark.csv", "pyproject.toml", "llmflowlab"} <= taken
    assert "*" in ignored
    assert not any(fnmatch.fnmatch(".env", pattern) for pattern in taken)


def test_the_commands_are_those_of_the_program() -> None:
    (command,) = (rest for name, rest in instructions() if name == "CMD")
    assert parse(yaml.safe_load(command)).command == "serve"
    for name in ("service", "page"):
        said = SERVICES[name]["command"]
        assert parse(shlex.split(filled(said))).command == "serve"
    service = parse(shlex.split(filled(SERVICES["service"]["command"])))
    assert (service.model, service.host, service.workers) == (["ollama:llama3.2"], "0.0.0.0", 2)
    page = parse(shlex.split(filled(SERVICES["page"]["command"])))
    assert (page.service, page.port) == ("http://service:8000", 8001)


def test_no_secret_has_a_default() -> None:
    for text in COMPOSE.values():
        for name, kind, default in VARIABLE.findall(text):
            if re.search(r"PASSWORD|SECRET|KEY|TOKEN", name):
                assert kind == ":?", f"{name} has the default {default!r}"


def test_every_variable_is_in_the_example_and_every_one_of_it_is_used() -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    known = set(re.findall(r"^#?([A-Z0-9_]+)=", example, re.M))
    used = {name for text in COMPOSE.values() for name, _, _ in VARIABLE.findall(text)}
    # Those without a value are handed on from .env.
    for service in SERVICES.values():
        used |= {n for n, value in (service.get("environment") or {}).items() if value is None}
    used |= {"METRICS_KEY"}
    assert used <= known
    section = example.split("# docker-compose.yml")[1]
    assert set(re.findall(r"^#?([A-Z0-9_]+)=", section, re.M)) <= used
    # Nothing is set by copying it.
    assert not re.search(r"^[A-Z]", example, re.M)


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_may_do_little_is_watched_and_heard_on_this_machine_alone(name: str) -> None:
    service = SERVICES[name]
    if name != "service":
        # Its own is the image's.
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert service["restart"] == "unless-stopped"
    image = filled(service["image"])
    assert re.search(r":v?\d", image), f"{image} names no version"
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:")
    if name in OURS:
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert any(each.endswith(":/data") for each in service["volumes"])
        assert any(each.startswith("/tmp") for each in service["tmpfs"])


def test_what_containers_depend_on_and_mount_is_there() -> None:
    volumes = {name for file in FILES.values() for name in file["volumes"]}
    for name, service in SERVICES.items():
        for other in service.get("depends_on", ()):
            assert other in SERVICES, (name, other)
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), source
            else:
                assert source in volumes
    # The folder that a rule file is named from is Prometheus' own.
    config = yaml.safe_load((ROOT / "deployment" / "prometheus.yml").read_text("utf-8"))
    assert config["rule_files"] == ["alert_rules.yml"]
    (job,) = config["scrape_configs"]
    assert job["static_configs"][0]["targets"] == ["service:8000"]


def test_names_that_containers_call_each_other_are_theirs() -> None:
    for service in SERVICES.values():
        for value in (service.get("environment") or {}).values():
            for host in re.findall(r"(?:https?://|@)([a-z]+)[:/]", filled(str(value))):
                assert host in SERVICES, value


def test_the_image_is_named_by_this_version() -> None:
    assert filled(SERVICES["service"]["image"]) == f"llmflowlab:{llmflowlab.__version__}"


def test_what_the_image_installs_holds_the_page_s_and_the_lab_s_requirements() -> None:
    pinned = (ROOT / "requirements-deployment.txt").read_text("utf-8")
    names = set(re.findall(r"^([A-Za-z0-9_.-]+)==", pinned, re.M))
    assert {"mlflow", "fastapi", "chainlit", "psycopg", "psycopg-binary", "boto3"} <= names
    # What the program itself needs is not asked of an index a second time.
    pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
    (needed,) = re.findall(r"^dependencies = \[\n(.*?)^\]", pyproject, re.DOTALL | re.M)
    for name in re.findall(r'^  "([A-Za-z0-9_.-]+)', needed, re.M):
        assert name in names, name
    found = re.search(r"^chainlit==(\d+)\.(\d+)\.(\d+)", pinned, re.M)
    assert found is not None
    assert tuple(map(int, found.groups())) >= (2, 9, 4)
