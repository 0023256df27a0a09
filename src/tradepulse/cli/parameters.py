"""The parameters of a strategy: bounds, defaults, and which part of the bounds the next training may use."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from tradepulse.cli.options import AsJson, run, settings_for_command
from tradepulse.cli.screen import show_facts, show_json, show_table, utc
from tradepulse.cli.training import BY
from tradepulse.domain.training import AllowedRange, RangesVersion
from tradepulse.policy.parameter_ranges import AskedRange
from tradepulse.shared.errors import ConfigurationError
from tradepulse.strategies import STRATEGIES
from tradepulse.strategies.base_strategy import ParameterSpec

JsonObject = dict[str, Any]

Strategy = Annotated[str, typer.Argument(metavar="STRATEGY", help="htf_sweep, volume_breakout, ...")]
Allow = Annotated[
    list[str] | None,
    typer.Option("--allow", metavar="NAME=LOW..HIGH", help="Or NAME=CHOICE,CHOICE; repeatable. Others stay as set."),
]
Free = Annotated[list[str] | None, typer.Option("--free", metavar="NAME", help="All its bounds again; repeatable.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the version.")]


def register(app: typer.Typer) -> None:
    app.command("parameters")(parameters)


def parameters(
    strategy: Strategy, allow: Allow = None, free: Free = None, reason: Reason = "", as_json: AsJson = False
) -> None:
    """Show a strategy's parameters, or set which part of their bounds the next training may use."""
    run(_parameters(strategy, allow or [], free or [], reason, as_json=as_json))


async def _parameters(strategy: str, allow: Sequence[str], free: Sequence[str], reason: str, *, as_json: bool) -> None:
    from tradepulse import bootstrap
    from tradepulse.bootstrap.training import parameter_ranges

    async with bootstrap.open_application(settings_for_command()) as app:
        ranges = parameter_ranges(app)
        told = await ranges.in_force(strategy)
        if allow or free:
            asked = _with(told, allow, free)
            told = await ranges.set(strategy, asked, by=BY, reason=reason, follows=told.version)
    show_json(_json(told)) if as_json else _show(told)


def _with(told: RangesVersion, allow: Sequence[str], free: Sequence[str]) -> dict[str, AskedRange]:
    kinds = {spec.name: spec.kind for spec in STRATEGIES[told.strategy].parameter_specs}
    asked = {
        one.parameter: AskedRange(choices=one.choices) if one.choices else AskedRange(one.low, one.high)
        for one in told.ranges
    }
    for name in free:
        if name not in kinds:
            raise ConfigurationError(f"Strategy {told.strategy} has no parameter '{name}'.", f"It has: {_all(kinds)}.")
        asked.pop(name, None)
    for text in allow:
        name, _, rest = text.partition("=")
        asked[name] = _choices(rest) if kinds.get(name) == "choice" else _ends(text, rest)
    return asked


def _all(names: dict[str, Any]) -> str:
    return ", ".join(names)


def _choices(text: str) -> AskedRange:
    return AskedRange(choices=tuple(one.strip() for one in text.split(",") if one.strip()))


def _ends(whole: str, text: str) -> AskedRange:
    low, dots, high = text.partition("..")
    try:
        if not dots:
            raise ValueError(text)
        return AskedRange(float(low) if low else None, float(high) if high else None)
    except ValueError:
        raise ConfigurationError(
            f"'{whole}' is not a range.", "Write it as reward_risk=2..3; an end left out stays at its bound."
        ) from None


def _json(told: RangesVersion) -> JsonObject:
    allowed = {one.parameter: one for one in told.ranges}
    lines = [
        {
            "name": spec.name,
            "default": spec.default,
            "bounds": list(spec.choices) or [spec.low, spec.high],
            "allowed": _plain(allowed.get(spec.name)),
        }
        for spec in STRATEGIES[told.strategy].parameter_specs
    ]
    facts = {"strategy": told.strategy, "version": told.version, "set_by": told.set_by, "reason": told.reason}
    return facts | {"set_at": told.set_at, "parameters": lines}


def _plain(allowed: AllowedRange | None) -> list[Any] | None:
    if allowed is None:
        return None
    return list(allowed.choices) or [allowed.low, allowed.high]


def _show(told: RangesVersion) -> None:
    if told.version:
        set_ = f"version {told.version}, {utc(told.set_at)} by {told.set_by}: {told.reason}"
        show_facts([("strategy", told.strategy), ("ranges", set_)])
    else:
        show_facts([("strategy", told.strategy), ("ranges", "none set: a training may use all of the bounds")])
    allowed = {one.parameter: one for one in told.ranges}
    rows = [
        (spec.name, spec.default, _bounds(spec), _allowed(allowed.get(spec.name)))
        for spec in STRATEGIES[told.strategy].parameter_specs
    ]
    show_table(("parameter", "default#", "bounds", "allowed"), rows)


def _bounds(spec: ParameterSpec) -> str:
    return ", ".join(spec.choices) or f"{spec.low:g} to {spec.high:g}"


def _allowed(allowed: AllowedRange | None) -> str:
    if allowed is None:
        return "all of them"
    return ", ".join(allowed.choices) or f"{allowed.low:g} to {allowed.high:g}"
