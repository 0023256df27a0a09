"""The page of all parameters: what each means, its default, and within which bounds it is tuned."""  # noqa: INP001

from collections.abc import Iterator

from tradepulse.strategies import STRATEGIES
from tradepulse.strategies.base_strategy import Strategy
from tradepulse.strategies.parameters import ParameterSpec

HEAD = """# Parameters

What can be tuned, made from the strategies themselves. Training looks within these bounds and nowhere else;
`tradepulse backtest ... --set NAME=VALUE` takes any of them. What the setups are: [strategies](strategies.md).
"""


def parameters_page() -> str:
    return "\n".join([HEAD, *(line for part in map(_section, STRATEGIES.values()) for line in part)])


def _section(strategy: Strategy) -> Iterator[str]:
    yield f"## {strategy.title}\n"
    yield "| parameter | default | bounds | meaning |\n|---|---|---|---|"
    yield from map(_row, strategy.parameter_specs)
    yield ""


def _row(spec: ParameterSpec) -> str:
    bounds = ", ".join(spec.choices) if spec.choices else f"{spec.low:g} to {spec.high:g}"
    default = spec.default if isinstance(spec.default, str) else f"{spec.default:g}"
    return f"| `{spec.name}` | {default} | {bounds} | {spec.description} |"
