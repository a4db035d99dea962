"""Over a hundred further services through the library Apprise, as text only. An optional extra: `datavigil[apprise]`."""

from __future__ import annotations

import logging
import re
import warnings
from importlib.util import find_spec
from typing import Any

from pydantic import Field, SecretStr, field_validator

from alerts.base import Channel, ChannelBroken, Unknown
from alerts.message import Outgoing
from alerts.plain import as_text, subject

LONGEST = 3000
TYPES = {"resolved": "success", "info": "info"}


class AppriseUrls(Channel):
    """Whatever one of Apprise's addresses leads to: ntfy, Matrix, Telegram, Signal, Google Chat, SMS, ...

    Text only: no thread, no edit. Apprise says no more than that it went wrong, so whatever fails may have arrived, and is sent
    again as "(may repeat)".
    """

    url: SecretStr = Field(description="an address of Apprise's, such as ntfys://topic", examples=["json://localhost/x"])

    @field_validator("url")
    @classmethod
    def _is_known(cls, url: SecretStr) -> SecretStr:
        if find_spec("apprise") is None:
            raise ValueError("this kind needs the library Apprise: pip install 'datavigil[apprise]'")
        if _service(url.get_secret_value()) is None:
            raise ValueError("is no address that Apprise knows; see https://appriseit.com for the form of each service")
        return url

    @property
    def where(self) -> str:
        scheme = re.match(r"[a-z0-9+.-]+(?=://)", self.url.get_secret_value(), re.IGNORECASE)
        return f"Apprise ({scheme[0].lower() if scheme else 'unknown'})"

    def send(self, outgoing: Outgoing) -> None:
        service = _service(self.url.get_secret_value())
        if service is None:
            raise ChannelBroken(f"{self.where}: Apprise does not know this address")
        kind = TYPES.get(outgoing.message.state) or ("failure" if outgoing.message.severity == "critical" else "warning")
        try:
            arrived = service.notify(body=as_text(outgoing.message)[:LONGEST], title=subject(outgoing.message), notify_type=kind)
        except Exception as fault:  # Each of its services raises what its own library does, and some put the address in.
            raise Unknown(f"{self.where} failed ({type(fault).__name__})") from None
        if not arrived:
            raise Unknown(f"{self.where} did not confirm it")


def _service(url: str) -> Any:
    """Apprise's object for the address, None where it knows none."""
    # It logs addresses with what is secret in them; what goes wrong is raised and logged by who sends.
    for name in ("apprise", "urllib3", "requests"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        # The services' own imports, and no call of ours, use what a later Python will drop.
        warnings.simplefilter("ignore")
        import apprise

        return apprise.Apprise.instantiate(url, suppress_exceptions=True)
