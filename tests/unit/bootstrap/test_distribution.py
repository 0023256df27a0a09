"""Engines that a job can be spread over: what is refused, and how."""

from typing import Any

import pytest

from tradepulse.bootstrap import distribution
from tradepulse.bootstrap.distribution import check_engine, processes_of
from tradepulse.shared.errors import ConfigurationError


@pytest.mark.parametrize(
    ("engine", "processes"),
    [("cluster", 3), ("cluster:2", 2), ("cluster:16", 16), ("tcp://10.0.0.5:8786", None), ("dask://host:1", None)],
)
def test_engine_when_well_written_then_its_processes_are_known(engine: str, processes: int | None) -> None:
    assert processes_of(engine, 3) == processes
    check_engine(engine)


@pytest.mark.parametrize(
    "engine", ["", "ray", "cluster:0", "cluster:-1", "cluster:x", "tcp://", "tcp://host", "http://host:80", "host:8786"]
)
def test_engine_when_it_is_none_then_refused_with_those_there_are(engine: str) -> None:
    with pytest.raises(ConfigurationError, match="is not an engine"):
        check_engine(engine)


def test_engine_when_dask_is_not_installed_then_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(distribution, "import_module", missing)
    check_engine("local")
    check_engine("workers")
    with pytest.raises(ConfigurationError, match=r"tradepulse\[cluster\]"):
        check_engine("cluster")
