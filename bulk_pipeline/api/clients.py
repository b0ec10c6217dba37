"""The client that sends a request, for limits per client."""

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Annotated

import structlog
from fastapi import Depends, Request

_IPV6_BITS = 64
"""A subscriber has at least a /64, and may use any address in it."""
_LONGEST_NAME = 64

_log = structlog.get_logger(__name__)


async def client_of(request: Request) -> str:
    """Return the client's IPv4 address, or the /64 of its IPv6 address.

    Behind a proxy of `API_TRUSTED_PROXIES`, that is the client named in X-Forwarded-For. From other senders that header
    is ignored.
    """
    host = request.client.host if request.client else "unknown"
    _warn_of_unknown_proxy(request, host)
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host[:_LONGEST_NAME]
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ip_network((address, _IPV6_BITS), strict=False))


ClientNeed = Annotated[str, Depends(client_of)]


def _warn_of_unknown_proxy(request: Request, host: str) -> None:
    """Warn once. All clients of an untrusted proxy count as one client, and can lock each other out."""
    state = request.app.state
    if "x-forwarded-for" in request.headers and not state.trusts_proxies and not state.has_warned_of_proxy:
        state.has_warned_of_proxy = True
        _log.warning(
            "X-Forwarded-For is ignored: if the API is behind a proxy, set API_TRUSTED_PROXIES",
            address=host,
        )
