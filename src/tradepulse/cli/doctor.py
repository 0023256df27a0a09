"""Looks at everything that must be right for TradePulse IQ to run, and says how to mend what is not."""

import typer
from rich.text import Text

from tradepulse.cli.health_checks import Finding, State, examine
from tradepulse.cli.options import AsJson, run
from tradepulse.cli.screen import show_json, show_line, show_table
from tradepulse.shared.errors import ConfigurationError

COLOURS = {State.OK: "green", State.WARN: "yellow", State.FAIL: "red"}


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(as_json: AsJson = False) -> None:
    """Check everything and say how to mend it. Ends with exit code 2 when something fails."""
    findings = run(examine())
    if as_json:
        show_json([finding.as_json() for finding in findings])
    else:
        show_table(["state", "check", "finding", "how to mend it"], (_row(finding) for finding in findings))
    failed = [finding.check for finding in findings if finding.state is State.FAIL]
    if failed:
        raise ConfigurationError(f"These checks failed: {', '.join(failed)}.", "Do what stands beside them.")
    if not as_json:
        show_line("")
        show_line("Everything that must work works.")


def _row(finding: Finding) -> tuple[object, ...]:
    return Text(finding.state, style=COLOURS[finding.state]), finding.check, finding.finding, finding.remedy
