"""The cloud's registry of images: what a name in ECR means to Docker on this machine.

ministack serves the registry's protocol itself, on its own port and from the repositories that its ECR API shows. So a
pushed image has its digest, its tags and its repository's rules there at once. Docker would look for
`ACCOUNT.dkr.ecr.REGION.amazonaws.com` on the internet; here the same repository is at `127.0.0.1:PORT`, without TLS,
which Docker accepts on loopback.

Rule: AWS's names are used everywhere; only code that calls Docker translates them here.
"""

from __future__ import annotations

import http.client
import re
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit

from localcloud.settings import HOST, Ports

_NAME = re.compile(
    r"(?P<host>[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?)/"
    r"(?P<repository>[a-z0-9][a-z0-9._/-]*)(?::(?P<tag>[\w.-]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
# Without it the registry would answer for a list of platforms or in an older form.
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_SECONDS = 10.0


@dataclass(frozen=True)
class Registry:
    """The registry that listens at `address`, as Docker writes it: `127.0.0.1:4566`."""

    address: str

    @classmethod
    def of(cls, ports: Ports) -> Registry:
        """The registry of the cloud with these ports."""
        return cls(f"{HOST}:{ports.ministack}")

    @classmethod
    def behind(cls, endpoint_url: str) -> Registry | None:
        """The registry of the cloud at this AWS endpoint URL; None if that is not on loopback."""
        url = urlsplit(endpoint_url)
        return cls(url.netloc) if url.scheme == "http" and url.hostname == HOST else None

    def local_name(self, image: str) -> str | None:
        """What Docker calls this image in a private repository; None for one that is somewhere else."""
        named = _NAME.fullmatch(image)
        return f"{self.address}/{image.partition('/')[2]}" if named else None

    def pullable(self, image: str) -> str | None:
        """The name by which Docker can pull exactly what the image's tag or digest means now; None if it is not there."""
        named = _NAME.fullmatch(image)
        if named is None:
            return None
        digest = self._digest(named["host"], named["repository"], named["digest"] or named["tag"] or "latest")
        # An image that only ECR's PutImage knows has a tag there and no layers.
        if digest is None or self._digest(named["host"], named["repository"], digest) is None:
            return None
        return f"{self.address}/{named['repository']}@{digest}"

    def _digest(self, host: str, repository: str, reference: str) -> str | None:
        # The registry tells accounts and regions apart by the host's name.
        headers = {"Host": host, "Accept": _MANIFEST}
        with closing(http.client.HTTPConnection(self.address, timeout=_SECONDS)) as connection:
            connection.request("HEAD", f"/v2/{repository}/manifests/{reference}", headers=headers)
            answer = connection.getresponse()
            return answer.headers["Docker-Content-Digest"] if answer.status == http.client.OK else None
