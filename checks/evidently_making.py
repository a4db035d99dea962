"""From a check's settings to Evidently's own objects: metrics, descriptors, definitions; workers only."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from inspect import signature
from typing import TYPE_CHECKING, Any

from checks.pending import CannotJudge

if TYPE_CHECKING:
    from checks.evidently import Evidently

PARENT = {"self", "type", "args", "kwargs", "data"}
TEXT = ["good", "a longer text, with words", "bad", "42"]
"""What descriptors are tried on."""


def quiet() -> warnings.catch_warnings[None]:
    """Before every import of Evidently: telemetry off, and silence for the warnings of its many dependencies, which are theirs."""
    os.environ["DO_NOT_TRACK"] = "1"
    return warnings.catch_warnings(action="ignore")


def found(name: str) -> Any:
    """The metric or preset of this name. Raises CannotJudge with the nearest one."""
    with quiet():
        from evidently import metrics, presets
    return _one_of("metric or preset", name, (presets, presets.__all__), (metrics, metrics.__all__))


def metric(about: str, name: str, options: Mapping[str, Any]) -> Any:
    """A metric or preset with its options. Raises CannotJudge where Evidently has no such thing, or refuses.

    An option may hold another metric, `{metric = "MeanValue", column = "amount"}`, or a method for the drift of
    embeddings, `{method = "mmd"}`.
    """
    kind = found(name)
    built = {option: _built(about, value) for option, value in options.items()}
    _known(about, kind.__name__, {*kind.__fields__, *signature(kind.__init__).parameters}, built)
    return _called(about, name, kind, **built)


def descriptors(check: Evidently) -> list[Any]:
    """The check's descriptors, which make columns of text. Raises CannotJudge as `metric` does."""
    with quiet():
        from evidently import descriptors as every
    known = [name for name, thing in vars(every).items() if name[0].isupper() and callable(thing) and "alias" in _parameters(thing)]
    made = []
    for given in check.descriptors:
        kind = _one_of("descriptor", given["descriptor"], (every, known))
        options = {option: value for option, value in given.items() if option not in {"descriptor", "column"}}
        _known(check.name, given["descriptor"], _parameters(kind), options)
        about = [given["column"]] if "column" in given else []
        with quiet():
            made.append(_called(check.name, given["descriptor"], kind, *about, **options))
    return made


def definition(check: Evidently, embedded: Mapping[str, list[str]], classes: int = 2) -> Any:
    """Evidently's DataDefinition, None for what it finds out itself. Raises CannotJudge where Evidently refuses it.

    `embedded` maps the name of an embedding to its columns; `classes` is how many different targets there are.
    """
    with quiet():
        import evidently
    given = {**check.definition, **({"embeddings": dict(embedded)} if embedded else {})}
    try:
        if check.regression:
            given["regression"] = [_model(check, evidently.Regression, check.regression)]
        if check.classification:
            many = (
                classes > 2 or "labels" in check.classification or isinstance(check.classification.get("prediction_probas"), list)
            )
            kind = evidently.MulticlassClassification if many else evidently.BinaryClassification
            given["classification"] = [_model(check, kind, check.classification)]
        if check.ranking:
            given["ranking"] = [_model(check, evidently.Recsys, check.ranking)]
        return evidently.DataDefinition(**given) if given else None
    except (TypeError, ValueError) as fault:
        raise CannotJudge(f"{check.name}: Evidently refuses the definition: {reason(fault)}") from fault


def faults(check: Evidently) -> Iterable[str]:
    """What Evidently has against the check's settings, found by making everything and trying the descriptors on a few texts."""
    steps: tuple[Callable[[], object], ...] = (
        lambda: metric(check.name, check.metric, check.metric_options),
        lambda: definition(check, {name: [str(of)] for name, of in check.embeddings.items()}),
        lambda: _tried(check),
    )
    for step in steps:
        try:
            step()
        except CannotJudge as fault:
            yield str(fault).removeprefix(f"{check.name}: ")


def _tried(check: Evidently) -> None:
    """The descriptors on a few texts: one that needs a network, or data that is not there, says so now."""
    if not check.descriptors:
        return
    made = descriptors(check)
    import pandas as pd

    named = {c for given in check.descriptors for c in check.described(given)}
    frame = pd.DataFrame(dict.fromkeys(sorted(named), TEXT))
    with quiet():
        from evidently import DataDefinition, Dataset

        try:
            Dataset.from_pandas(frame, DataDefinition(text_columns=list(frame.columns)), descriptors=made)
        except Exception as fault:
            raise CannotJudge(f"{check.name}: the descriptors do not work here: {reason(fault)}") from fault


def reason(fault: BaseException) -> str:
    """What went wrong, in one line. NLTK's complaint is a page; its point is which data is missing and how to get it."""
    if isinstance(fault, MemoryError):
        return "it needs more memory than it may take (memory_mb); fewer rows need less"
    said = str(fault)
    missing = re.search(r"nltk\.download\('(\w+)'\)", said)
    if missing:
        return (
            f"it needs NLTK's {missing[1]}, which is not on this machine and is not downloaded by us; "
            f"fetch it once with: python -m nltk.downloader {missing[1]}"
        )
    lines = [" ".join(line.split()) for line in said.splitlines() if re.search(r"\w", line)]
    # pydantic's first line only counts the mistakes.
    told = ": ".join(lines[1:3]) if len(lines) > 2 and "validation error" in lines[0] else "".join(lines[:1])
    return f"{type(fault).__name__}: {told[:200]}" if told else type(fault).__name__


def _model(check: Evidently, kind: Any, roles: Mapping[str, Any]) -> Any:
    _known(check.name, kind.__name__, signature(kind).parameters, roles)
    return kind(**roles)


def _one_of(word: str, name: str, *modules: tuple[Any, Iterable[str]]) -> Any:
    for module, known in modules:
        if name in known:
            return getattr(module, name)
    near = get_close_matches(name, [n for _, known in modules for n in known], 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise CannotJudge(f"Evidently has no {word} {name}{hint}")


def _known(about: str, name: str, known: Iterable[str], options: Mapping[str, Any]) -> None:
    """Evidently drops an option that it does not know without a word; raises CannotJudge instead."""
    known = sorted({*known} - PARENT)
    for option in options:
        if option not in known:
            raise CannotJudge(f"{about}: Evidently's {name} has no option {option}; it has {', '.join(known)}")


def _parameters(kind: Any) -> set[str]:
    return set(signature(kind).parameters)


def _called(about: str, name: str, kind: Any, *positional: Any, **options: Any) -> Any:
    try:
        return kind(*positional, **options)
    except (TypeError, ValueError, ImportError) as fault:
        raise CannotJudge(f"{about}: {name} refuses its options: {reason(fault)}") from fault


def _built(about: str, value: Any) -> Any:
    """An option's value; a metric or a method in it is made."""
    if not isinstance(value, dict):
        return value
    if "metric" in value:
        return metric(about, value["metric"], {k: v for k, v in value.items() if k != "metric"})
    if "method" in value:
        return _drift_method(about, value["method"], {k: v for k, v in value.items() if k != "method"})
    return value


def _drift_method(about: str, name: str, options: Mapping[str, Any]) -> Any:
    """`mmd` -> Evidently's MMDDriftMethod."""
    with quiet():
        from evidently.metrics import embeddings
    known = {n.removesuffix("DriftMethod").lower(): n for n in embeddings.__all__ if n.endswith("DriftMethod")}
    if name not in known:
        raise CannotJudge(f"{about}: Evidently has no method {name} for embeddings; it has {', '.join(sorted(known))}")
    kind = getattr(embeddings, known[name])
    _known(about, known[name], kind.__fields__, options)
    return _called(about, known[name], kind, **options)
