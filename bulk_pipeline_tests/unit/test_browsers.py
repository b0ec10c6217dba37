"""The origin of a request by its headers, and requests that are refused for it."""

import pytest

from bulk_pipeline.browsers import host_of, refusal

HOSTS = frozenset({"localhost", "api.example.org"})


def refused(method: str, **headers: str) -> int | None:
    given = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
    result = refusal(method, given, HOSTS)
    return None if result is None else result.status


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8080", "api.example.org", "api.example.org:443", "127.0.0.1:8080", "10.0.0.7", "[::1]:8080"],
)  # fmt: skip
def test_a_known_name_or_an_address_is_answered(host: str) -> None:
    assert refused("GET", Host=host) is None
    assert refused("POST", Host=host) is None


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "localhost.evil.example", "api.example.org.", "127.0.0.1.evil.example", "a@evil.example", "[::1", "localhost:x", "xlocalhost"],
)  # fmt: skip
def test_any_other_name_is_421(host: str) -> None:
    assert refused("GET", Host=host) == 421


def test_no_host_and_two_hosts_are_421() -> None:
    assert refusal("GET", [], HOSTS) is not None
    assert refusal("GET", [(b"host", b"localhost"), (b"Host", b"evil.example")], HOSTS) is not None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "ODD"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "https://localhost:8080.evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://localhost:x"},
        {"Origin": "ftp://localhost:8080"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Origin": "http://localhost:8080"},
    ],
)
def test_a_write_of_another_site_is_403_and_a_read_is_not(method: str, headers: dict[str, str]) -> None:
    assert refused(method, Host="localhost:8080", **headers) == 403
    assert refused("GET", Host="localhost:8080", **headers) is None


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:8080", "http://localhost:8080"),
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
        ("API.example.org", "https://api.example.org"),
        ("[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_a_write_of_its_own_pages_is_carried_out(host: str, origin: str) -> None:
    assert refused("POST", Host=host, Origin=origin, Sec_Fetch_Site="same-origin") is None
    assert refused("POST", Host=host) is None  # no browser


@pytest.mark.parametrize(
    ("text", "host"),
    [("https://Api.Example.org:8443/x", "api.example.org"), ("api:8080", "api"), ("", None), ("[::", None)],
)
def test_a_host_is_read_from_a_setting(text: str, host: str | None) -> None:
    assert host_of(text) == host
