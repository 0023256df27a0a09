"""The Python client that is generated from the description, against a running server."""

import pytest
from tests.integration.api.people import log_in
from tests.integration.api.serving import Server

from tradepulse.client import Client, ProblemError
from tradepulse.domain.users import Role


def test_client_reads_writes_once_and_tells_problems(server: Server) -> None:
    with log_in(server.address, Role.TRADER) as tom:
        key = tom.post("/api/auth/keys", json={"name": "bot", "scopes": ["trade"]}).json()["key"]
    with Client(server.address, key=key) as client:
        assert client.auth_me()["user"]["name"] == "Tom"
        page = client.trades_history(limit=2)
        assert [trade["trade_id"] for trade in page["items"]] == [
            row["trade_id"] for row in reversed(server.scenario.book.trade_rows[-2:])
        ]
        assert client.trades_story(page["items"][0]["trade_id"])["fills"]
        assert "tradepulse_ready" in client.system_metrics()
        first = client.trades_pause({"reason": "news"}, wait=0, idempotency_key="k1")
        again = client.trades_pause({"reason": "news"}, wait=0, idempotency_key="k1")
        assert first == again
        assert client.trades_command(first["command_id"])["status"] == "waiting"
        with pytest.raises(ProblemError, match="There is no trade 'none such'") as refused:
            client.trades_story("none such")
        assert (refused.value.status, refused.value.code) == (404, "not_found")
    with Client(server.address) as nobody, pytest.raises(ProblemError, match="This needs a login"):
        nobody.trades_active()
