"""The addresses that an untrusted URL may lead to: those of the public internet.

The ranges are those of the IANA special-purpose registries (RFC 6890), as `ipaddress` and the lists below have them.
"""

import ipaddress
import socket

from bulk_pipeline.errors import RemoteFileError

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Tunnels, translators and old site-local addresses, which may lead to the internal network.
_REFUSED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "::/96",
        "64:ff9b:1::/48",
        "2001::/23",
        "2002::/16",
        "fec0::/10",
    )
)


def addresses_of(host: str, port: int, *, private_too: bool) -> list[str]:
    """Return the addresses of a host. Connect to these, as the name could resolve to others later.

    Raises `RemoteFileError` if the host has no address, or one that is not public: a name with both kinds is a trick
    or a mistake. The message is the same, so that it does not reveal which internal names exist.
    """
    refusal = f"the host {host!r} cannot be found, or has an address that is not on the public internet"
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise RemoteFileError(refusal) from error
    addresses = list(dict.fromkeys(str(place[0]) for *_, place in answers))
    if not private_too and not all(map(is_public, addresses)):
        raise RemoteFileError(refusal)
    return addresses


def is_public(text: str) -> bool:
    """Return whether the address is not private, loopback, link-local, multicast, reserved or unspecified."""
    address = _embedded(ipaddress.ip_address(text))
    return (
        address.is_global
        and not (address.is_multicast or address.is_reserved or address.is_link_local or address.is_private)
        and not any(address in network for network in _REFUSED if network.version == address.version)
    )


def _embedded(address: _Address) -> _Address:
    """Return the IPv4 address that an IPv6 address stands for, else the address itself."""
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else address
