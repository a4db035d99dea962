"""Official doubles: servers on loopback that answer as the real ones do, and a clock that is set by hand.

Only the wire is replaced: code under test talks to these as it talks to the world. Product code never imports this.
"""

from monitor.testing.clock import Clock
from monitor.testing.fakeslack import FakeSlack
from monitor.testing.faults import Fault
from monitor.testing.pagerduty import FakePagerDuty
from monitor.testing.rendering import as_html, as_text, pings
from monitor.testing.smtp import SmtpSink
from monitor.testing.teams import FakeTeams
from monitor.testing.webhook import WebhookSink

__all__ = ["Clock", "FakePagerDuty", "FakeSlack", "FakeTeams", "Fault", "SmtpSink", "WebhookSink", "as_html", "as_text", "pings"]
