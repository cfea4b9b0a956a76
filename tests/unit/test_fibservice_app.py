"""fibservice's HTTP responses."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import NoReturn
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from fibservice.app import create_app
from fibservice.fibonacci import MAX_N, fibonacci


@pytest.fixture
def app() -> Flask:
    return create_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def test_fib_answers_with_exactly_the_json_of_the_original_script(client: FlaskClient) -> None:
    response = client.get("/fib/20")
    assert (response.status_code, response.mimetype) == (200, "application/json")
    assert response.data.strip() == b'{"fib":6765,"n":20}'


def test_health_answers_healthy(client: FlaskClient) -> None:
    response = client.get("/health")
    assert (response.status_code, response.data.strip()) == (200, b'{"status":"healthy"}')


@pytest.mark.parametrize("n", [0, 1, 93, 1_000, 20_000, MAX_N])
def test_fib_is_exact_for_any_n_up_to_the_limit(client: FlaskClient, n: int) -> None:
    answer = json.loads(client.get(f"/fib/{n}").data, parse_int=Decimal)
    assert answer == {"fib": Decimal(fibonacci(n)), "n": Decimal(n)}


@pytest.mark.parametrize(
    "n",
    [
        "-1",
        "-999999999999",
        str(MAX_N + 1),
        "9" * 5_000,
        "abc",
        "1.5",
        "+5",
        "٣",
        " ",
        "",
        "5/5",
        "5/",
        "NaN",
        "%",
        "\x00",
    ],
)
def test_a_bad_n_is_400_with_a_reason(client: FlaskClient, n: str) -> None:
    response = client.get(f"/fib/{quote(n)}")
    assert (response.status_code, response.mimetype) == (400, "application/json")
    assert response.get_json().keys() == {"error", "status", "title"}
    assert response.get_json()["error"].startswith("n ")


def test_fib_without_n_is_400_with_or_without_a_slash(client: FlaskClient) -> None:
    assert [client.get(path).status_code for path in ("/fib", "/fib/")] == [400, 400]


@pytest.mark.parametrize("path", ["/", "/nothing", "/fibonacci/20", "/health/more", "/static/app.py"])
def test_an_unknown_path_is_404_in_json(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.mimetype) == (404, "application/json")
    assert response.get_json()["title"] == "Not Found"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_wrong_method_is_405_in_json_and_names_the_right_ones(client: FlaskClient, method: str) -> None:
    response = client.open("/fib/20", method=method)
    assert (response.status_code, response.mimetype) == (405, "application/json")
    assert "GET" in response.headers["Allow"]


def test_an_internal_error_is_500_in_json_without_details(app: Flask) -> None:
    def broken() -> NoReturn:
        raise RuntimeError("inner detail")

    app.add_url_rule("/broken", view_func=broken)
    response = app.test_client().get("/broken")
    assert (response.status_code, response.mimetype) == (500, "application/json")
    assert "inner detail" not in response.text


def test_debug_mode_is_off(app: Flask) -> None:
    assert not app.debug
