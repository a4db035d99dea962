"""Listens to the buttons under messages, by Slack's Socket Mode: no port is open, Slack is called, never the other way.

It shares nothing with the sending of alerts but the store: whatever happens here, buttons are what is lost. Slack gets its
acknowledgement first, the work comes after.
"""

from __future__ import annotations

import json
import logging
import random
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from alerts.base import DeliveryError
from alerts.buttons import Press, pressed
from alerts.slack import Slack
from alerts.wire import post
from monitor import actions
from monitor.config import Config
from monitor.sources.faults import plain
from monitor.store.store import Store

if TYPE_CHECKING:
    from slack_sdk.socket_mode.builtin import SocketModeClient
    from slack_sdk.socket_mode.client import BaseSocketModeClient
    from slack_sdk.socket_mode.request import SocketModeRequest

log = logging.getLogger("datavigil.buttons")

ANSWER_TIMEOUT = 5.0
LONGEST_PAUSE = 300.0
PING = 5.0
"""Seconds between two looks at whether the connection is still there."""


def listeners(config: Config, store: Store, clock: Callable[[], datetime]) -> list[Listener]:
    """One for each Slack app of the channels; none where no channel has an app token."""
    return [Listener(config, store, clock, channel) for channel in _apps(config).values()]


def renewed(old: Sequence[Listener], config: Config, store: Store, clock: Callable[[], datetime]) -> list[Listener]:
    """Those to go on with by a new config: an app that is still there stays connected, one that left ends, a new one begins."""
    apps = _apps(config)
    kept = {listener.app: listener for listener in old if listener.app in apps}
    for listener in old:
        if listener.app not in kept:
            listener.stop()
        listener.config = config
    fresh = [Listener(config, store, clock, channel) for app, channel in apps.items() if app not in kept]
    for listener in fresh:
        listener.start()
    return [*kept.values(), *fresh]


def _apps(config: Config) -> dict[tuple[str, str], Slack]:
    """Each Slack app, by its token and address, with a channel of it."""
    slacks = [channel for channel in config.channels.values() if isinstance(channel, Slack)]
    return {(c.app_token.get_secret_value(), c.api): c for c in slacks if c.app_token}


class Listener:
    """One app's connection, in threads of its own. Reconnects for ever, with growing pauses; nothing here raises."""

    def __init__(self, config: Config, store: Store, clock: Callable[[], datetime], channel: Slack, ping: float = PING) -> None:
        self.config, self.store, self.clock, self.channel = config, store, clock, channel
        self.ping = ping
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, name="datavigil-buttons", daemon=True)

    @property
    def app(self) -> tuple[str, str]:
        """What tells its app from others."""
        token = self.channel.app_token
        return (token.get_secret_value() if token else "", self.channel.api)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.ending.set()

    def _run(self) -> None:
        pause = 1.0
        while not self.ending.is_set():
            try:
                client = self._connected()
            except Exception as fault:  # Whatever it is: alerts go on, and the next try may work.
                log.warning("no buttons in %s for now: %s", self.channel.where, plain(fault))
                self.ending.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret in it
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                log.info("listening to buttons in %s", self.channel.where)
                # From here on the client itself reconnects.
                self.ending.wait()
                closed(client)

    def _connected(self) -> SocketModeClient:
        from slack_sdk import WebClient
        from slack_sdk.errors import SlackApiError
        from slack_sdk.socket_mode.builtin import SocketModeClient

        silent = logging.getLogger("alerts.slack.sdk")
        silent.setLevel(logging.CRITICAL)
        token = self.channel.app_token
        web = WebClient(base_url=self.channel.api, timeout=10, retry_handlers=[], logger=silent)
        client = SocketModeClient(token.get_secret_value() if token else "", silent, web, ping_interval=self.ping)
        client.socket_mode_request_listeners.append(self._heard)
        try:
            client.connect()
            if not client.is_connected():
                raise ConnectionError("the connection was refused")
        except SlackApiError as refusal:
            closed(client)
            raise ConnectionError(
                f"Slack refused: {refusal.response.get('error')}; is app_token right, is Socket Mode on?"
            ) from None
        except Exception:
            closed(client)
            raise
        return client

    def _heard(self, client: BaseSocketModeClient, request: SocketModeRequest) -> None:
        from slack_sdk.socket_mode.response import SocketModeResponse

        try:
            # Slack waits three seconds, and says it again where it heard nothing: doing it twice does no harm.
            client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
        except Exception as fault:
            log.warning("a button could not be acknowledged: %s", plain(fault))
        if request.type == "interactive":
            handled(self.config, self.store, pressed(request.payload), self.clock(), self.channel)


def closed(client: SocketModeClient) -> None:
    """Closes the connection and all its threads."""
    try:
        client.close()
    except AttributeError:
        # A thread of the SDK's own closed the socket between the SDK's look at it and its use; the second time there is none.
        client.close()


def handled(config: Config, store: Store, presses: Iterable[Press], now: datetime, channel: Slack) -> None:
    """Does what was pressed and tells who pressed where nothing came of it. Never raises."""
    for press in presses:
        try:
            done = act(config, store, press, now)
        except actions.NoSuchIncident as gone:
            done = actions.Done(str(gone), changed=False)
        except SQLAlchemyError as fault:
            done = actions.Done(f"this did not work, press again later ({store.said(fault)[:200]})", changed=False)
        except Exception as fault:  # A button's fault is nobody else's.
            log.error("button %s of INC-%d: %s", press.verb, press.incident, plain(fault))
            done = actions.Done("this did not work; the log says why", changed=False)
        log.info("button verb=%s incident=INC-%d by=%s changed=%s", press.verb, press.incident, press.author, done.changed)
        if not done.changed:
            _answer(press, done.said, channel)


def act(config: Config, store: Store, press: Press, now: datetime) -> actions.Done:
    """One press of one button. Raises NoSuchIncident, and what the store raises."""
    number, who, opened = press.incident, press.author, press.opened_at
    if press.verb == "acknowledge":
        return actions.acknowledge(store, number, who, now, opened)
    if press.verb == "not_useful":
        return actions.not_useful(store, number, who, now, opened_at=opened)
    if press.verb == "accept":
        return actions.accept(store, config, number, who, now, opened_at=opened)
    length, until = ("4h", None) if press.verb == "silence_4h" else (None, "morning")
    end = actions.ends(now, length, until, actions.zone_of(config, store, number))
    return actions.silence(store, number, who, end, "a button in Slack", now, opened)


def _answer(press: Press, said: str, channel: Slack) -> None:
    """A word for the one who pressed, seen by nobody else. A courtesy: it may fail."""
    if press.answer_to is None or not _is_slack(press.answer_to, channel):
        return
    body = json.dumps({"response_type": "ephemeral", "replace_original": False, "text": said})
    try:
        post(press.answer_to, body.encode(), {"Content-Type": "application/json"}, ANSWER_TIMEOUT, channel.where)
    except DeliveryError as fault:
        log.info("who pressed could not be answered: %s", fault)


def _is_slack(url: str, channel: Slack) -> bool:
    """Only Slack is answered, whatever an envelope says."""
    asked, ours = urlsplit(url), urlsplit(channel.api)
    if (asked.scheme, asked.hostname, asked.port) == (ours.scheme, ours.hostname, ours.port):
        return True
    return asked.scheme == "https" and (asked.hostname or "").endswith((".slack.com", ".slack-gov.com"))
