"""Sends a small body to the URL of a webhook: no redirects, one deadline, and no internal network unless it is allowed.

The connection goes to the checked address, as in `fetch`.
"""

from collections.abc import Mapping

import httpcore2
import httpx2

from bulk_pipeline.errors import DeliveryError, RemoteFileError
from bulk_pipeline.web.network import CheckedNetwork
from bulk_pipeline.web.sending import PORTS, sending

_GONE = 410


def post(url: str, body: bytes, headers: Mapping[str, str], *, seconds: float, private_too: bool) -> None:
    """Send the body. Raises `DeliveryError` unless the answer is 2xx; a 410 is final, as the receiver is gone.

    `private_too`: the host may have addresses that are not on the public internet.
    """
    place = _parsed(url)
    network = CheckedNetwork(seconds=seconds, private_too=private_too, check=lambda: None)
    sent = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    try:
        with (
            httpcore2.ConnectionPool(network_backend=network) as pool,
            sending(pool, "POST", place, sent, body) as response,
        ):
            status = response.status
    except RemoteFileError as error:
        raise DeliveryError(f"{error}: webhooks there need NOTIFY_PRIVATE=true") from error
    except httpcore2.TimeoutException as error:
        raise DeliveryError(f"{place.host} did not answer within {seconds:g} seconds") from error
    except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        raise DeliveryError(f"{place.host} cannot be reached, or the connection broke") from error
    if 300 <= status < 400:
        raise DeliveryError(
            f"{place.host} answers {status}, a redirect, which is not followed: use the final URL"
        )
    if not 200 <= status < 300:
        gone = ", so that it wants no more messages: remove the webhook" if status == _GONE else ""
        raise DeliveryError(f"{place.host} answers {status}{gone}", is_final=status == _GONE)


def _parsed(url: str) -> httpx2.URL:
    try:
        place = httpx2.URL(url)
    except (httpx2.InvalidURL, UnicodeError) as error:
        raise DeliveryError("the URL of the webhook is not valid") from error
    if place.scheme not in PORTS or not place.host or place.userinfo or not place.raw_host.isascii():
        raise DeliveryError("the URL of a webhook must be http:// or https:// with a host and no password")
    return place
