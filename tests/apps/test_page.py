"""The page in headless Chromium: several files in a row, of every kind, and what is said as large as the verdict."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path

import aiohttp
import pytest

from apps.test_serve import _running, models  # noqa: F401 (a fixture)

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")


class Tab:
    """A tab of a browser that is steered by the Chrome DevTools Protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket, self.numbers, self.errors = socket, itertools.count(1), []

    async def call(self, method: str, **options) -> dict:
        number = next(self.numbers)
        await self.socket.send_json({"id": number, "method": method, "params": options})
        async for message in self.socket:
            answer = json.loads(message.data)
            if answer.get("method") == "Runtime.exceptionThrown":
                self.errors.append(answer["params"]["exceptionDetails"])
            if answer.get("id") == number:
                return answer["result"]
        raise AssertionError("the browser has ended")

    async def read(self, script: str):
        """Return the value of an expression of the page."""
        answer = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, script: str) -> None:
        for _ in range(600):
            if await self.read(script):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"never: {script}")

    async def choose(self, *files: Path) -> None:
        """Choose files as a visitor does."""
        root = (await self.call("DOM.getDocument"))["root"]["nodeId"]
        node = (await self.call("DOM.querySelector", nodeId=root, selector="#file"))["nodeId"]
        await self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    async def photograph(self, path: Path) -> None:
        path.write_bytes(base64.b64decode((await self.call("Page.captureScreenshot"))["data"]))


@contextlib.asynccontextmanager
async def opened(address: str, folder: Path):
    """Yield a tab with a page; the profile of the browser is in `folder`."""
    options = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=1280,1100",
        "--remote-debugging-port=0",
    ]
    browser = subprocess.Popen(
        [CHROMIUM, *options, f"--user-data-dir={folder}", "about:blank"], stderr=subprocess.DEVNULL
    )
    try:
        told = folder / "DevToolsActivePort"
        for _ in range(600):
            if told.is_file() and told.read_text().count("\n"):
                break
            await asyncio.sleep(0.1)
        port = told.read_text().split()[0]
        async with aiohttp.ClientSession() as session:
            for _ in range(100):
                async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                    pages = [one for one in await answer.json(content_type=None) if one["type"] == "page"]
                if pages:
                    break
                await asyncio.sleep(0.1)
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                tab = Tab(socket)
                for domain in ("Runtime", "Page", "DOM"):
                    await tab.call(f"{domain}.enable")
                await tab.call("Page.navigate", url=address)
                await tab.until(
                    "document.readyState === 'complete' && !!document.getElementById('limits')?.textContent"
                )
                yield tab
    finally:
        browser.terminate()
        browser.wait(20)


SHOWN = """JSON.stringify({
  verdict: document.getElementById("verdict").textContent, name: document.getElementById("result-name").textContent,
  film: !document.getElementById("film").hidden, still: !document.getElementById("still").hidden,
  player: !document.getElementById("player").hidden, length_s: document.getElementById("film").duration,
  fetched: !document.getElementById("get-film").hidden, lanes: document.querySelectorAll("#timeline .rail").length,
})"""


async def _visit(site, folder: Path, media_folder: Path, pictures: Path | None) -> None:
    (folder / "bad.mp4").write_bytes(b"no film")
    files = [media_folder / "both.mp4", folder / "bad.mp4", media_folder / "voice.wav", media_folder / "still.png"]
    async with opened(f"http://127.0.0.1:{site.port}/", folder / "profile") as tab:
        await tab.choose(*files)
        await tab.until(
            "document.querySelectorAll('#list button').length === 3 && document.getElementById('progress').hidden"
        )
        shown = []
        for k, ready in enumerate(("film.readyState > 0", "film.readyState > 0", "still.complete")):
            await tab.read(f"document.querySelectorAll('#list button')[{k}].click()")
            await tab.until(f"(({ready.split('.')[0]}) => {ready})(document.getElementById('{ready.split('.')[0]}'))")
            shown.append(json.loads(await tab.read(SHOWN)))
            if pictures is not None:
                await tab.photograph(pictures / f"page-{k}.png")
        assert [one["name"] for one in shown] == ["both.mp4", "voice.wav", "still.png"]
        assert [(one["film"], one["still"], one["player"], one["fetched"]) for one in shown] == [
            (True, False, True, True),
            (False, False, True, False),
            (False, True, False, False),
        ]
        assert all(one["length_s"] > 1.0 and one["lanes"] == 3 for one in shown[:2])
        assert "bad.mp4" in await tab.read("document.getElementById('problem').textContent")
        size = "parseFloat(getComputedStyle(document.getElementById('{}')).fontSize)"
        assert await tab.read(f"{size.format('caution')} >= {size.format('verdict')}")
        assert "N2 of ravdess" in await tab.read("document.getElementById('caution').textContent")
        legend = await tab.read("[...document.querySelectorAll('#legend .dot')].map((one) => one.style.background)")
        assert len(set(legend)) == 4
        await tab.read("document.getElementById('another').click()")
        hidden = "['result', 'list', 'progress', 'problem'].every((id) => document.getElementById(id).hidden)"
        assert await tab.read(f"{hidden} && !document.getElementById('choose').hidden")
        assert tab.errors == []


def test_several_files_of_every_kind_in_a_row(models, media_folder, tmp_path):  # noqa: F811
    pictures = os.environ.get("MIEN_TEST_PICTURES")  # a folder, to look at the page
    (tmp_path / "site").mkdir()
    (tmp_path / "browser").mkdir()
    with _running(models, tmp_path / "site") as site:
        asyncio.run(_visit(site, tmp_path / "browser", media_folder, Path(pictures) if pictures else None))
        assert site.files() == []
