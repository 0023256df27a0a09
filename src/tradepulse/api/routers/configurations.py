"""Configurations on their way: back to the version before, and as documents out of here and in."""

from typing import Annotated, Any

from fastapi import Query
from pydantic import Field

from tradepulse.api.deps import DoorkeeperDep, OptionalSymbolDep, ServicesDep, Trader
from tradepulse.api.errors import NotFoundError
from tradepulse.api.models import Given, View
from tradepulse.api.routing import noun_router
from tradepulse.api.work_models import ConfigurationLine, Configurations
from tradepulse.policy.configuration_documents import parsed_document

router = noun_router("training")


class RollbackReason(Given):
    reason: str = Field(default="", max_length=500, description="kept in the configuration's life")


class ImportedDocument(Given):
    text: str = Field(description="as it was exported, unchanged: its hash is checked")


class ExportedDocument(View):
    document: dict[str, Any] = Field(description="can be imported elsewhere, here or with the command line")


@router.post("/configurations/{configuration_id}/rollback")
async def rollback(
    configuration_id: str, body: RollbackReason, services: ServicesDep, who: Trader, door: DoorkeeperDep
) -> ConfigurationLine:
    """Put that version into force again that was in force before this one, which must be in force."""
    found = await services.trained.known(configuration_id)
    if found is None:
        raise NotFoundError(
            f"There is no configuration '{configuration_id}'.", "GET /api/training/configurations lists them."
        )
    moved = await services.trained.rollback(found.configuration_id, by=who.actor.name, reason=body.reason)
    facts = {"combination": str(moved.combination), "version": moved.version, "reason": body.reason}
    note = door.accounts.noted(who.actor, "configuration rolled back", moved.configuration_id, **facts)
    await services.accounts.note(note)
    return ConfigurationLine.of(moved)


@router.get("/configuration-documents")
async def export_configurations(
    services: ServicesDep,
    symbol: OptionalSymbolDep = None,
    exchange: Annotated[str | None, Query(max_length=40, description="ccxt id")] = None,
    active: Annotated[bool | None, Query(description="only those in force, or not")] = None,
) -> ExportedDocument:
    """Configurations with their evidence as one document."""
    found = await services.trained.list(symbol=symbol, exchange=exchange, active=active)
    if not found:
        raise NotFoundError("There is no such configuration.", "GET /api/training/configurations lists them.")
    return ExportedDocument(document=await services.trained.export(found))


@router.post("/configuration-documents")
async def import_configurations(
    body: ImportedDocument, services: ServicesDep, who: Trader, door: DoorkeeperDep
) -> Configurations:
    """What was new in the document: inactive, in validation. All of it is checked before any of it is stored."""
    added = await services.trained.import_(parsed_document(body.text), by=who.actor.name)
    for one in added:
        facts = {"combination": str(one.combination), "version": one.version}
        await services.accounts.note(
            door.accounts.noted(who.actor, "configuration imported", one.configuration_id, **facts)
        )
    return Configurations(items=[ConfigurationLine.of(one) for one in added])
