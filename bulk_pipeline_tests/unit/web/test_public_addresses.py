"""The addresses to which an untrusted URL may lead."""

import socket

import pytest

from bulk_pipeline.errors import RemoteFileError
from bulk_pipeline.web.public_addresses import addresses_of, is_public


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.9.9.9", "169.254.169.254", "172.16.0.1", "172.31.255.255",
        "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
        "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "100::1",
        "2001::1", "2001:db8::1", "2002:7f00:1::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
    ],
)  # fmt: skip
def test_an_address_inside_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "172.32.0.1", "93.184.215.14", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"],
)
def test_an_address_of_the_internet_is(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "localhost", "::1"]
)
def test_a_host_is_judged_by_its_resolved_addresses(host: str) -> None:
    with pytest.raises(RemoteFileError, match="not on the public internet"):
        addresses_of(host, 80, private_too=False)


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "1.1.1.1", "10.0.0.1")
    with pytest.raises(
        RemoteFileError, match=r"the host 'a\.example' .* has an address that is not on the public"
    ):
        addresses_of("a.example", 80, private_too=False)
    assert addresses_of("a.example", 80, private_too=True) == ["1.1.1.1", "10.0.0.1"]


@pytest.mark.parametrize("host", ["nothing.invalid", "x" * 70 + ".example", "a..example"])
def test_an_unknown_host_is_reported(host: str) -> None:
    with pytest.raises(RemoteFileError, match="cannot be found"):
        addresses_of(host, 80, private_too=True)


def test_internal_hosts_are_not_revealed(monkeypatch: pytest.MonkeyPatch) -> None:
    lookups = list[str]()
    for entry in (["10.0.0.1"], ["127.0.0.1", "1.1.1.1"], None):
        if entry is None:
            monkeypatch.undo()
        else:
            answers(monkeypatch, *entry)
        with pytest.raises(RemoteFileError) as refused:
            addresses_of("inside.invalid", 80, private_too=False)
        lookups.append(str(refused.value))
    assert len(set(lookups)) == 1


def answers(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    result = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: result)
