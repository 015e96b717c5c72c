"""What others join by: workflows, issue forms, citation, recipe and pages, read as their tools read them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

import lrp_widgets as lw

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))


def read(path: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / path).read_text())


def triggers(workflow: dict[Any, Any]) -> dict[str, Any]:
    return workflow[True]  # `on` is a boolean in YAML 1.1


def commands(job: dict[str, Any]) -> str:
    return "\n".join(step.get("run", "") for step in job["steps"])


def actions(job: dict[str, Any]) -> list[str]:
    return [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step]


def test_ci_runs_the_checks_and_the_tests_on_every_python_and_system():
    workflow = read(".github/workflows/ci.yml")
    assert set(triggers(workflow)) == {"push", "pull_request"}
    assert set(workflow["jobs"]) == {"check", "test"}
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]
    assert matrix == {"os": ["ubuntu-latest", "macos-latest"], "python": ["3.11", "3.12", "3.13"]}
    classifiers = {line.rpartition(" ")[2] for line in PROJECT["classifiers"] if "Python :: 3." in line}
    assert set(matrix["python"]) == classifiers
    assert "make check " in commands(workflow["jobs"]["check"])
    assert "make test " in commands(workflow["jobs"]["test"])
    assert workflow["env"]["TORCH_INDEX"].endswith("/cpu")


def test_a_release_is_built_checked_and_published_without_a_password():
    workflow = read(".github/workflows/release.yml")
    assert triggers(workflow) == {"push": {"tags": ["v*"]}}
    build, publish = workflow["jobs"]["build"], workflow["jobs"]["publish"]
    assert re.search(r"python -m build\n.*twine check --strict dist/\*", commands(build), re.DOTALL)
    assert "hatchling version" in commands(build)
    assert publish["needs"] == "build" and actions(publish)[-1] == "pypa/gh-action-pypi-publish"
    assert publish["permissions"] == {"id-token": "write"} and publish["environment"]["name"] == "pypi"
    assert "password" not in str(publish) and "secrets" not in str(workflow)


def test_the_pages_are_built_and_put_up():
    workflow = read(".github/workflows/docs.yml")
    assert actions(workflow["jobs"]["build"])[1:] == ["actions/jekyll-build-pages", "actions/upload-pages-artifact"]
    assert workflow["jobs"]["deploy"]["needs"] == "build"
    assert actions(workflow["jobs"]["deploy"]) == ["actions/deploy-pages"]


@pytest.mark.parametrize("path", sorted((GITHUB / "workflows").glob("*.yml")), ids=lambda path: path.stem)
def test_a_workflow_may_do_no_more_than_it_must(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 60 for job in workflow["jobs"].values())


@pytest.mark.parametrize("name", ["fault", "wish"])
def test_an_issue_form_is_one(name):
    form = read(f".github/ISSUE_TEMPLATE/{name}.yml")
    assert form["name"] and form["description"] and form["labels"] == [name]
    assert {part["type"] for part in form["body"]} <= {"markdown", "textarea", "input", "dropdown", "checkboxes"}
    identifiers = [part["id"] for part in form["body"]]
    assert len(set(identifiers)) == len(identifiers)
    assert all(part["attributes"]["label"] for part in form["body"])
    assert any(part.get("validations", {}).get("required") for part in form["body"])


def test_a_weakness_is_not_reported_in_an_issue():
    config = read(".github/ISSUE_TEMPLATE/config.yml")
    assert config["blank_issues_enabled"] is False
    assert config["contact_links"][0]["url"] in (ROOT / "SECURITY.md").read_text()


def test_a_pull_request_is_asked_for_both_commands():
    assert "`make check` and `make test`" in (GITHUB / "PULL_REQUEST_TEMPLATE.md").read_text()


def test_there_is_one_version():
    assert PROJECT["dynamic"] == ["version"] and "version" not in PROJECT
    assert re.fullmatch(r"\d+\.\d+\.\d+", lw.__version__)
    headings = re.findall(r"^## \[([^]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert next(heading for heading in headings if heading != "Unreleased") == lw.__version__
    assert read("CITATION.cff")["version"] == lw.__version__
    assert read("conda/recipe.yaml")["context"]["version"] == lw.__version__


def test_the_citation_has_what_the_format_asks_for():
    citation = read("CITATION.cff")
    assert citation["cff-version"] == "1.2.0" and citation["message"] and citation["title"]
    assert citation["authors"] == PROJECT["authors"]
    assert citation["license"] == PROJECT["license"]
    for paper in citation["references"]:
        assert paper["type"] == "article" and paper["authors"] and re.fullmatch(r"10\.\d{4,}/\S+", paper["doi"])


def test_the_recipe_asks_for_what_the_package_asks_for():
    recipe = read("conda/recipe.yaml")
    run = [line.replace(" ", "") for line in recipe["requirements"]["run"]]
    asked = [Requirement(line) for line in PROJECT["dependencies"]]
    expected = [f"python{PROJECT['requires-python']}"]
    expected += [f"{'pytorch' if line.name == 'torch' else line.name}{line.specifier}" for line in asked]
    assert {str(Requirement(line)) for line in run} == {str(Requirement(line)) for line in expected}
    assert recipe["build"]["noarch"] == "python"
    assert (ROOT / "conda" / recipe["source"]["path"] / recipe["about"]["license_file"]).is_file()


def test_installing_alone_gives_notebook_and_app():
    assert {"jupyterlab", "voila", "ipywidgets"} <= {Requirement(line).name for line in PROJECT["dependencies"]}


def test_the_addresses_of_the_project_are_there():
    assert set(PROJECT["urls"]) == {"Homepage", "Documentation", "Repository", "Issues", "Changelog"}
    assert all("OWNER" in address for address in PROJECT["urls"].values())  # whoever hosts it puts a name there


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_link_of_a_page_leads_somewhere(path):
    prose = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose)
    assert [link for link in links if "://" not in link and not (path.parent / link).exists()] == []


def test_the_files_that_contributing_names_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    paths = set(re.findall(r"`((?:lrp_widgets|tests|benchmarks|docs)/[\w./<>-]+)`", text))
    assert len(paths) > 10
    for path in paths:
        assert list(ROOT.glob(re.sub(r"<\w+>", "*", path))), path
