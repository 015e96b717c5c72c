"""deploy/: what the files say, as far as that shows without Docker and Kubernetes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
DOCS = (ROOT / "docs" / "deploy.md").read_text()


def table(*required: str, **properties: Any) -> dict[str, Any]:
    """A table of these keys and no others."""
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": [*required]}


TEXT, NUMBER, SWITCH, COUNT = ({"type": kind} for kind in ("string", "number", "boolean", "integer"))
SIZE = {"type": "string", "pattern": r"^\d+(M|G|Mi|Gi)$"}
CPU = {"anyOf": [NUMBER, {"type": "string", "pattern": r"^\d+m$"}]}
RESOURCE = table("guarantee", "limit", guarantee={"anyOf": [SIZE, NUMBER]}, limit={"anyOf": [SIZE, NUMBER]})
ENABLED = table("enabled", enabled=SWITCH)
# What values.yaml uses of the chart's schema.
CHART = table(
    *("hub", "proxy", "singleuser", "cull", "scheduling"),
    hub=table(
        config={"type": "object"},
        activeServerLimit=COUNT,
        concurrentSpawnLimit=COUNT,
        resources=table(requests=table(cpu=CPU, memory=SIZE), limits=table("memory", cpu=CPU, memory=SIZE)),
    ),
    proxy=table(
        https=table(
            *("enabled", "hosts"),
            enabled={"const": True},
            hosts={"type": "array", "items": TEXT, "minItems": 1},
            letsencrypt=table("contactEmail", contactEmail=TEXT),
        )
    ),
    singleuser=table(
        *("memory", "cpu", "networkPolicy"),
        image=table("name", "tag", name=TEXT, tag=TEXT),
        cmd=TEXT,
        defaultUrl=TEXT,
        startTimeout=COUNT,
        memory=RESOURCE,
        cpu=RESOURCE,
        storage=table("type", type={"enum": ["none", "dynamic", "static"]}),
        extraEnv={"type": "object", "additionalProperties": TEXT},
        networkPolicy=table(enabled={"const": True}, egressAllowRules=table(nonPrivateIPs={"const": False})),
    ),
    cull=table("enabled", "timeout", enabled={"const": True}, timeout=COUNT, every=COUNT, maxAge=COUNT),
    scheduling=table(userScheduler=ENABLED, podPriority=ENABLED, userPlaceholder=table(enabled=SWITCH, replicas=COUNT)),
    prePuller=table(continuous=ENABLED),
)
SERVICE = table(
    *("image", "restart", "mem_limit", "cap_drop", "security_opt"),
    image=TEXT,
    build=table(context=TEXT, dockerfile=TEXT),
    restart=TEXT,
    command={"type": "array", "items": TEXT},
    ports={"type": "array", "items": TEXT},
    environment={"type": "object", "additionalProperties": TEXT},
    volumes={"type": "array", "items": TEXT},
    network_mode=TEXT,
    mem_limit=TEXT,
    pids_limit=COUNT,
    cap_drop={"const": ["ALL"]},
    cap_add={"const": ["NET_BIND_SERVICE"]},
    security_opt={"const": ["no-new-privileges:true"]},
    read_only=SWITCH,
    tmpfs={"type": "array", "items": TEXT},
)
COMPOSE = table("services", services=table("proxy", "app", proxy=SERVICE, app=SERVICE), volumes={"type": "object"})


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / name).read_text())


@pytest.mark.parametrize(("name", "schema"), [("values.yaml", CHART), ("docker-compose.yml", COMPOSE)])
def test_a_file_is_of_its_form(name, schema):
    jsonschema.validate(read(name), schema)


@pytest.mark.parametrize(
    ("key", "value"), [("memory", {"guarantee": "400M"}), ("memory", {"guarantee": "1G", "limit": "a lot"}), ("x", 1)]
)
def test_the_schema_finds_a_mistake(key, value):
    values = read("values.yaml")
    values["singleuser"][key] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values, CHART)


def test_the_app_is_reached_through_the_proxy_alone():
    services = read("docker-compose.yml")["services"]
    assert services["app"]["network_mode"] == "service:proxy" and "ports" not in services["app"]
    assert services["app"]["read_only"]
    routes = read("routes.yml")["http"]
    (router,) = routes["routers"].values()
    assert router["entryPoints"] == ["websecure"] and "tls" in router
    assert router["middlewares"] == ["password", "rate"]
    assert {*routes["middlewares"]} == {"password", "rate"}
    assert routes["services"]["app"]["loadBalancer"]["servers"] == [{"url": "http://127.0.0.1:8866"}]


def test_the_commands_of_the_app_are_known(monkeypatch):
    from lrp_widgets import __main__

    command = read("docker-compose.yml")["services"]["app"]["command"]
    served: list[dict[str, Any]] = []
    monkeypatch.setattr(__main__, "serve", lambda path, port, **more: served.append(more))
    words = [
        word.replace("${LRP_DOMAIN}", "class.example.org").replace("${LRP_VISITORS:-40}", "40") for word in command
    ]
    assert words[:3] == ["python", "-m", "lrp_widgets"]
    __main__.main(words[3:])
    assert served == [{"browser": False, "hosts": ["class.example.org"], "visitors": 40, "fork": True}]


def test_the_figures_of_the_page_are_those_of_the_files():
    values = read("values.yaml")
    row = re.search(r"^\| `hub\.activeServerLimit` \| \d+ \| (\d+) \|", DOCS, re.MULTILINE)
    assert row and int(row[1]) == values["hub"]["activeServerLimit"]
    assert values["singleuser"]["memory"] == {"guarantee": "400M", "limit": "1G"}
    assert 'mem_limit = "1G"' in (DEPLOY / "jupyterhub_config.py").read_text()
    for name in re.findall(r"LRP_[A-Z_]+", DOCS):
        assert any(name in path.read_text() for path in DEPLOY.iterdir()), name
