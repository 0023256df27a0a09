"""Our client order ids as each exchange takes them: as they are, prefixed, or as a number."""

import hashlib
from collections.abc import Iterable

from tradepulse.domain.client_ids import ClientId
from tradepulse.exchanges.venue_facts import ClientIdRule, IdForm
from tradepulse.shared.errors import RefusedError

LARGEST_INTEGER = 2**45 - 1
"""Bitfinex reads a client order id as an integer of 45 bits."""


def id_on_wire(client_id: str, rule: ClientIdRule) -> str | int:
    """What this exchange is told. The integer follows from the text, so it need not be stored to be known again."""
    if rule.form is IdForm.INTEGER:
        digest = hashlib.sha256(client_id.encode()).digest()
        return int.from_bytes(digest) % LARGEST_INTEGER + 1
    return rule.prefix + client_id


def id_from_wire(told: str | int | None, rule: ClientIdRule, known: Iterable[str]) -> str | None:
    """Our id of an order that an exchange shows, or ``None`` when it is not ours.

    An integer cannot be turned back into text: it is looked for among the ids ``known`` to us.
    """
    text = str(told)
    if rule.form is IdForm.INTEGER:
        return next((client_id for client_id in known if str(id_on_wire(client_id, rule)) == text), None)
    if not text.startswith(rule.prefix):
        return None
    try:
        return str(ClientId.parse(text.removeprefix(rule.prefix)))
    except RefusedError:
        return None
