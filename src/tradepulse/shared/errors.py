"""Every error of ours answers three questions: stop, retry or skip.

TradePulseError
├── ConfigurationError   a person must act (wrong setting, broken file, missing server)   exit code 2
├── TransientError       try again with back-off (network, database restarting)           exit code 3
├── RefusedError         skip this one and go on (denied by a limit, rejected by a venue) exit code 4
└── InvariantError       something that cannot be true is true: halt trading and exit     exit code 5

A message names the value, the rule it broke and the remedy. Secrets are taken out of it where it is made, so that
wherever it is shown, stored or answered it has none.
"""

from tradepulse.shared.secrets import scrub


class TradePulseError(Exception):
    exit_code = 1

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = scrub(problem)
        self.remedy = scrub(remedy)
        super().__init__(f"{self.problem} {self.remedy}".strip() if remedy else self.problem)


class ConfigurationError(TradePulseError):
    exit_code = 2


class TransientError(TradePulseError):
    exit_code = 3


class RefusedError(TradePulseError):
    exit_code = 4


class InvariantError(TradePulseError):
    exit_code = 5
