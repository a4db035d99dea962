"""What `explain` and `routes test` print for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.printing import moment


def explained(facts: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    if "result" in facts:
        r = facts["result"]
        lines += [
            f"result {r['id']}: {r['dataset']}, {moment(r['start'])} to {moment(r['end'])}: {r['message']}",
            *_judged(facts["judged"] or {}),
            f"  {facts['why']}",
        ]
    if "incident" not in facts:
        return lines
    over = f", resolved {moment(facts['resolved'])}" if facts["resolved"] else ", still open"
    level = facts["severity"].upper()
    head = f"{facts['incident']}  {level}  {facts['dataset']}  {facts['family']}  since {moment(facts['since'])}{over}"
    lines += [
        head,
        *_acknowledged(facts),
        "",
        "by the routes as they are now:",
        *(f"  {line}" for line in _routes(facts["routes"])),
    ]
    lines += ["", "what became of it:"]
    for c in facts["changes"]:
        where = f" in {c['channel']}" if c["channel"] else ""
        told = f" ({c['digest']})" if c["digest"] else f" ({c['storm']})" if c["storm"] else ""
        lines.append(f"  {moment(c['at'])}  {c['happened']}{where}: {c['outcome']}{told}, {c['reason']}")
    lines += [] if facts["changes"] else ["  nothing is written of that: it is older than this record, or a storm's own"]
    lines += ["", "deliveries:"]
    for d in facts["deliveries"]:
        at = f"sent {moment(d['sent_at'])}" if d["sent_at"] else d["state"]
        wait = f", not before {moment(d['not_before'])}" if d["not_before"] and not d["sent_at"] else ""
        fault = f", last error: {d['last_error']}" if d["last_error"] else ""
        lines.append(f"  {d['channel']}  {d['form']}  {at}{wait}, {d['attempts']} tries{fault}")
    lines += [] if facts["deliveries"] else ["  none"]
    lines += [f"silence {s['id']} by {s['author']} until {moment(s['ends_at'])}: {s['reason']}" for s in facts["silences"]]
    return lines


def _judged(details: Mapping[str, Any]) -> list[str]:
    """What a learned limit came from, and why it is not as the history alone would have it."""
    lines = []
    if details.get("judge") == "forecast":
        about = f"{details['number']}: " if details.get("number") else ""
        lines.append(
            f"  {about}expected {details['expected']:.4g} by {details['forecast']}; "
            f"spread {details['spread']:.3g}, {details['limit']:.3g} spreads allowed ({details['windows']} windows)"
        )
    if details.get("day"):
        lines.append(f"  no ordinary day ({details['day']}): compared with days of rest and earlier holidays too, and pages nobody")
    widths = [f"{width:.3g} ({why})" for why, width in details.get("widths", {}).items()]
    return lines + ([f"  limits multiplied by {', '.join(widths)}"] if widths else [])


def _acknowledged(facts: Mapping[str, Any]) -> list[str]:
    a = facts["acknowledged"]
    return [f"acknowledged by {a['by']} {moment(a['at'])}"] if a else []


def _routes(tried: list[dict[str, Any]]) -> list[str]:
    if not tried:
        return ["there is no route"]
    lines = [f"route {r['route']} ({r['rule']}): {'takes it' if r['takes'] else 'not, ' + r['why']}" for r in tried]
    return lines if tried[-1]["takes"] else [*lines, "no route takes it: nobody is told"]


def tested(facts: Mapping[str, Any]) -> list[str]:
    asked = facts["asked"]
    name = asked["dataset"]
    lines = [] if facts["known_dataset"] or name is None else [f"note: no dataset is called {name}"]
    lines += _routes(facts["routes"])
    lines.append(f"told: {', '.join(facts['to']) or 'nobody'}")
    if facts["waits_until"]:
        lines.append(f"at {moment(asked['at'])} it is quiet there: it waits for the digest at {moment(facts['waits_until'])}")
    lines += [f"not acknowledged, then also: {', '.join(facts['escalates_to'])}"] if facts["escalates_to"] else []
    return lines + [f"but maintenance keeps it quiet then: {reason}" for reason in facts["maintenance"]]
