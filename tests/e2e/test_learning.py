"""From a training that is asked for to a configuration in force, in a real browser; a worker is played by the test."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from playwright.sync_api import Page, expect
from tests.e2e.conftest import Console
from tests.e2e.test_accessibility import AXE, grave_faults
from tests.integration.api.serving import Server
from tests.integration.api.test_training import CONFIGURATION
from tests.unit.policy.test_report import job_report

from tradepulse.domain.training import JobState, TrainingJob

WORKER = "the test"


def _at_work(work: Coroutine[Any, Any, Any]) -> Any:
    # In a loop of its own: the browser's driver runs one already.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def _press(page: Page, button: str, confirm: str, reason: str = "") -> None:
    page.get_by_role("button", name=button).click()
    if reason:
        page.get_by_label("Reason").fill(reason)
    page.get_by_role("dialog").get_by_role("button", name=confirm, exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)


async def _newest(server: Server) -> TrainingJob:
    return (await server.scenario.training.jobs(limit=1))[0]


async def _begin(server: Server) -> None:
    """The first part fails, the second is at work."""
    training, job = server.scenario.training, await _newest(server)
    await training.advance(job.job_id, JobState.RUNNING)
    unit = await training.take(job.job_id, WORKER)
    assert unit is not None
    await training.fail(job.job_id, unit.index, WORKER, "the disk was full")
    assert await training.take(job.job_id, WORKER) is not None


async def _judge(server: Server) -> None:
    """With a configuration that passed, as training leaves one."""
    training, job = server.scenario.training, await _newest(server)
    report = job_report()
    assert await training.advance(job.job_id, JobState.JUDGING, by=WORKER)
    assert await training.advance(job.job_id, JobState.DEPLOYING, by=WORKER)
    passed = next(one for one in report["combinations"] if one["verdict"] == "deployed")
    known = replace(CONFIGURATION, job_id=job.job_id, evidence={"combination": passed})
    await server.scenario.configurations.add(known, reason="passed the gate")
    await training.save_report(job.job_id, report, by=WORKER)


def test_training_is_started_watched_cancelled_begun_again_understood_and_put_into_force(
    page: Page, server: Server, console: Console
) -> None:
    page.goto(f"{server.address}/training")
    _press(page, "Start training…", "Start training")
    jobs = page.get_by_test_id("training-jobs")
    expect(jobs).to_contain_text("waits for a worker")
    jobs.get_by_role("link").click()
    _at_work(_begin(server))
    expect(page.get_by_test_id("job-state")).to_contain_text("running")
    parts = page.get_by_test_id("parts")
    expect(parts).to_contain_text("the disk was full")
    expect(page.get_by_role("progressbar", name="Parts done")).to_have_attribute("value", "1")
    page.reload()
    expect(parts).to_contain_text("the disk was full")

    _press(page, "Cancel…", "Cancel the job")
    expect(page.get_by_test_id("outcome")).to_contain_text("Cancelled")
    _press(page, "Train the same again…", "Start training")
    expect(page.get_by_test_id("job-state")).to_contain_text("waits for a worker")
    _at_work(_judge(server))
    page.get_by_role("link", name="Evidence").click()
    expect(page.get_by_role("heading", level=1, name="Evidence")).to_be_visible()
    expect(page.get_by_test_id("in-and-out")).to_contain_text("Out of sample (held out)")
    for picture in ("Equity of the held-out", "Overfitting (CSCV)", "In sample against"):
        expect(page.get_by_role("heading", name=picture)).to_be_visible()
    assert page.locator(".plot canvas").count() >= 3
    expect(page.locator("table.heat td").first).to_be_visible()
    page.evaluate(AXE.read_text())
    assert grave_faults(page, "evidence") == []

    page.get_by_role("navigation").get_by_role("link", name="Configurations").click()
    versions = page.get_by_test_id("configurations")
    expect(versions).to_contain_text("not in force")
    _press(page, "Activate…", "Activate", reason="it held out of sample")
    versions.get_by_role("link").click()
    expect(page.get_by_test_id("in-force")).to_have_text("✓ in force")
    expect(page.get_by_test_id("life")).to_contain_text("it held out of sample")
    configuration = _at_work(server.scenario.configurations.find(active=True))
    assert [one.activated_by for one in configuration] == ["Tom"]
    assert console.complaints == []
