"""Pictures of the report, the runbook and the live page for the documentation: `scripts/screens`."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.browser.conftest import CHROMIUM, PLACE
from tests.support import failed_run, golden
from tests.support.failed_run import FailedRun

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
WINDOW = 'window: {start: "2026-01-10T22:00:00+01:00", finish_by: "2026-01-11T00:30:00+01:00"}\n'


def scenario(folder: Path) -> Path:
    """A cluster as in real life: with a name and a maintenance window; its second node fails once."""
    made = folder / "prod-eu"
    shutil.copytree(failed_run.SCENARIO, made)
    file = made / "cluster.yaml"
    text = file.read_text(encoding="utf-8").replace(failed_run.SCENARIO.name, "prod-eu")
    file.write_text(f"{text}{WINDOW}", encoding="utf-8")
    return made


@contextmanager
def served(run: FailedRun) -> Iterator[str]:
    """The address of the live page."""
    argv = [sys.executable, "-u", "-m", "ctmupgrade", "serve", run.run, "--state-dir", str(run.state)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


def kept(picture: Path, name: str) -> None:
    """Keeps a picture with few colours, for it goes into the repository."""
    target = PICTURES / name
    convert = shutil.which("convert")
    if convert:
        subprocess.run([convert, picture, "-strip", "+dither", "-colors", "48", f"PNG8:{target}"], check=True)
    else:
        shutil.copyfile(picture, target)
    print(f"{target.stat().st_size // 1024:5} KiB  {target.name}")


def taken(
    chromium: Any,
    folder: Path,
    address: str,
    name: str,
    *,
    width: int = 1280,
    height: int = 1300,
    scheme: str = "light",
) -> None:
    """The upper part of a page."""
    context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    page.goto(address)
    page.wait_for_timeout(1500)
    page.screenshot(path=folder / name)
    kept(folder / name, name)
    context.close()


def printed(chromium: Any, folder: Path, address: str) -> None:
    """The first two sheets."""
    page = chromium.new_page()
    page.goto(address)
    page.pdf(path=folder / "r.pdf", prefer_css_page_size=True)
    subprocess.run(
        ["pdftoppm", "-r", "80", "-png", "-l", "2", folder / "r.pdf", folder / "sheet"], check=True
    )
    sheets = sorted(folder.glob("sheet-*.png"))
    subprocess.run(
        ["convert", *sheets, "-bordercolor", "grey", "-border", "1", "+append", folder / "print.png"],
        check=True,
    )
    kept(folder / "print.png", "report-print.png")


def main() -> int:
    """Takes them all."""
    sys.path.append(PLACE)
    playwright = importlib.import_module("playwright.sync_api")
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as made, playwright.sync_playwright() as started:
        folder = Path(made)
        fixture, state = scenario(folder), ("--state-dir", str(folder / "state"))
        simulated = (*state, "--simulate", str(fixture))
        assert golden.call("run", "--yes", "--accept-partial", *simulated)[0] == 5
        run = FailedRun(folder / "state")
        run.written("failed.html")
        with served(run) as live:
            chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            taken(chromium, folder, live, "live-page.png", height=900)
        run.typed("node", "retry", run.run, "ctm-2", "--reason", "CHG-4711: the vendor's support freed space")
        assert golden.call("resume", *simulated)[0] == 0
        run.written("report.html")
        report, failed = ((run.state / name).as_uri() for name in ("report.html", "failed.html"))
        taken(chromium, folder, report, "report-light.png")
        taken(chromium, folder, report, "report-dark.png", scheme="dark")
        taken(chromium, folder, report, "report-phone.png", width=390, height=1500)
        taken(chromium, folder, failed, "report-failed.png")
        printed(chromium, folder, report)
        runbook = folder / "runbook.html"
        if golden.call("runbook", "-o", str(runbook), *simulated)[0] == 0:
            taken(chromium, folder, runbook.as_uri(), "runbook.png")
            taken(chromium, folder, runbook.as_uri(), "runbook-phone.png", width=390, height=1500)
        chromium.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
