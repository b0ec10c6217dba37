"""What the environment says of the HTTP API: a part of `bulk_pipeline.settings.Settings`."""

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

from bulk_pipeline.browsers import host_of


class ApiSettings(BaseSettings):
    """One field per environment variable, of the same name in capitals. Durations are in seconds."""

    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8080, ge=0, le=65535)
    metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="port that serves /metrics, and nothing else; unset: API_PORT serves it",
    )
    api_url: str | None = Field(default=None, description="address of the HTTP API, for people")
    api_hosts: str = Field(
        default="", description="more names that clients reach the API by, with commas between"
    )
    api_jwt_secret: SecretStr | None = Field(default=None, description="signs tokens; 32 bytes or more")
    api_token_seconds: int = Field(default=3600, ge=1, description="how long a token is good")
    api_token_required: bool = Field(default=False, description="whether /api/v1 asks for a token")
    api_max_upload_bytes: int = Field(default=5_000_000_000, ge=1, description="more is refused with 413")
    api_presigned_seconds: int = Field(default=3600, ge=1, description="how long links to files are good")
    api_max_streams: int = Field(default=8, ge=1, description="exports streamed at a time; more get 429")
    api_max_streams_per_caller: int = Field(
        default=4, ge=1, description="of these by one account, or by one address without a token"
    )
    api_stream_idle_seconds: float = Field(
        default=300,
        gt=0,
        description="a client that takes nothing of a stream, or sends nothing of a body, is cut off after that",
    )
    api_fetch_private: bool = Field(
        default=False,
        description="whether file_url may lead to addresses that are not on the public internet",
    )
    api_fetch_ports: str = Field(
        default="80,443", description="ports that file_url may lead to, with commas between"
    )
    api_fetch_max_bytes: int = Field(default=1_000_000_000, ge=1, description="larger files are not fetched")
    api_fetch_seconds: float = Field(default=60, gt=0, description="how long fetching a file may take")
    api_fetch_redirects: int = Field(default=5, ge=0, description="how often file_url may be redirected")

    @property
    def known_hosts(self) -> frozenset[str]:
        """Names in lower case: localhost, and those of `API_HOST`, `API_URL` and `API_HOSTS`."""
        named = ("localhost", self.api_host, self.api_url or "", *listed(self.api_hosts))
        return frozenset(host for text in named if (host := host_of(text)))

    @property
    def fetch_ports(self) -> frozenset[int]:
        """The ports of `API_FETCH_PORTS`."""
        return frozenset(map(int, listed(self.api_fetch_ports)))

    @field_validator("api_fetch_ports")
    @classmethod
    def _ports(cls, given: str) -> str:
        ports = listed(given)
        for port in ports or ("",):
            if not (port.isdecimal() and port.isascii() and 0 < int(port[:6]) <= 65535):
                raise ValueError(f"{port!r} is no port: write ports like 80,443")
        return ",".join(ports)


def listed(text: str) -> tuple[str, ...]:
    """What a setting lists with commas between, without blanks around and without gaps."""
    return tuple(part for piece in text.split(",") if (part := piece.strip()))
