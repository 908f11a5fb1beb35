"""docs/openapi.json describes every route there is, and what the routes say is what it says."""

import json
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import settings
from jsonschema import Draft202012Validator
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from lynkr.settings import ServerSettings, Settings
from lynkr_server.app import App
from lynkr_server.dashboard import Dashboard
from tests.dashboard.seeded import ADMIN_KEY
from tests.server.running import PATIENCE, House

PAGE = Path(__file__).parents[2] / "docs" / "openapi.json"
DESCRIPTION: dict[str, Any] = json.loads(PAGE.read_text("utf-8"))
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
described = schemathesis.openapi.from_dict(DESCRIPTION)


def test_every_route_is_described_and_every_description_is_of_a_route() -> None:
    def never() -> Any:
        raise AssertionError

    routes = {**App(never, ServerSettings())._routes, **Dashboard(Settings()).routes}
    # A route that ends in a slash takes an id behind it.
    told = {
        path.partition("{")[0]: {method.upper() for method in item if method in METHODS}
        for path, item in DESCRIPTION["paths"].items()
    }
    assert told == {path: set(methods) for path, methods in routes.items()}


def test_every_schema_is_one_and_every_reference_leads_somewhere() -> None:
    def follow(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                at: Any = DESCRIPTION
                for step in node["$ref"].removeprefix("#/").split("/"):
                    at = at[step]
            for child in node.values():
                follow(child)
        elif isinstance(node, list):
            for child in node:
                follow(child)

    follow(DESCRIPTION)
    for schema in DESCRIPTION["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


@described.parametrize()
@settings(max_examples=25)  # an operation; each is a request over a socket
def test_a_request_by_the_description_is_answered_by_it(case: Case, shared: House) -> None:
    # The dashboard's key: the routes for models need none here, and look at none.
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    response = case.call(base_url=shared.url, timeout=PATIENCE, headers=headers)
    case.validate_response(response, checks=list(CHECKS))
