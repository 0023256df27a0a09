"""Every error of ours answers three questions: stop, retry or skip.

TradePulseError
├── ConfigurationError   a person must act (wrong setting, broken file, missing server)   exit code 2
├── TransientError       try again with back-off (network, database restarting)           exit code 3
├── RefusedError         skip this one and go on (denied by a limit, rejected by a venue) exit code 4
└── InvariantError       something that cannot be true is true: halt trading and exit     exit code 5

A message names the value, the rule it broke and the remedy.
"""


class TradePulseError(Exception):
    exit_code = 1

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem} {remedy}".strip() if remedy else problem)
        self.problem = problem
        self.remedy = remedy


class ConfigurationError(TradePulseError):
    exit_code = 2


class TransientError(TradePulseError):
    exit_code = 3


class RefusedError(TradePulseError):
    exit_code = 4


class InvariantError(TradePulseError):
    exit_code = 5
