"""`python -m monitor.testing slack --port 8080 --state slack.json`: a double as a process of its own."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from monitor.testing.fakeslack import TOKEN, FakeSlack


def main() -> None:
    parser = argparse.ArgumentParser(prog="monitor.testing", description="A fake Slack on loopback; GET / shows what it was told.")
    parser.add_argument("double", choices=["slack"])
    parser.add_argument("--port", type=int, default=0, help="0: any that is free; it is printed")
    parser.add_argument("--state", help="a JSON file in which the messages live on")
    parser.add_argument("--channel", action="append", help="a channel there is; may be repeated")
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--fault-rate", type=float, default=0.0, help="the share of requests that go wrong")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    channels = given.channel or ["data-quality", "oncall"]
    with FakeSlack(given.port, given.state, channels, given.token, fault_rate=given.fault_rate, seed=given.seed) as slack:
        sys.stdout.write(f"{slack.url}\n")
        sys.stdout.flush()
        stop.wait()


if __name__ == "__main__":
    main()
