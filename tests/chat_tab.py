"""What the chat page does, without the page: it keeps numbers, drops what it has, and asks again for gaps."""

import json
from typing import Any, Self
from uuid import uuid4

import websockets

from tests.fakes.behaviour import Answer

LONG = Answer(words=("word ", "after ", "word "), repeat=100, chunk_delay_s=0.01)


class ChatTab:
    """One open chat page on a real web process."""

    def __init__(self, origin: str, cookie: str) -> None:
        self._url = origin.replace("http", "ws") + "/ws/chat/"
        self._headers = {"Cookie": cookie, "Origin": origin}
        self.texts: dict[str, str] = {}
        self.seqs: dict[str, int] = {}
        self.ends: dict[str, dict[str, Any]] = {}
        self.conversation: str | None = None

    async def __aenter__(self) -> Self:
        self._socket = await websockets.connect(
            self._url, additional_headers=self._headers, subprotocols=[websockets.Subprotocol("architect.chat.1")]
        )
        assert (await self.next())["t"] == "hello"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._socket.close()

    async def tell(self, **frame: Any) -> None:
        await self._socket.send(json.dumps(frame))

    async def next(self) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(await self._socket.recv())
        self._take(frame)
        return frame

    async def until(self, *kinds: str) -> dict[str, Any]:
        """The first frame of one of these kinds."""
        while (frame := await self.next())["t"] not in kinds:
            assert frame["t"] not in ("failed", "interrupted"), frame
        return frame

    async def send(self, text: str, *, model: str = "auto", client_id: str = "") -> dict[str, Any]:
        """Sends a message; the frame that accepts it."""
        await self.tell(t="send", c=self.conversation, id=client_id or str(uuid4()), text=text, model=model)
        return await self.until("accepted", "error")

    async def open(self, conversation: str, seen: dict[str, int] | None = None) -> dict[str, Any]:
        self.conversation = conversation
        await self.tell(t="open", c=conversation, runs=seen or {})
        return await self.until("opened", "error")

    async def text_of(self, run: str) -> str:
        """Everything that was shown of the run, once it has ended."""
        while run not in self.ends:
            await self.next()
        return self.texts.get(run, "")

    def _take(self, frame: dict[str, Any]) -> None:
        match frame["t"]:
            case "accepted":
                self.conversation = frame["c"]
            case "delta":
                self._take_delta(frame)
            case "done" | "stopped" | "failed" | "interrupted":
                self.ends[frame["run"]] = frame

    def _take_delta(self, frame: dict[str, Any]) -> None:
        run, last = frame["run"], self.seqs.get(frame["run"], 0)
        if frame["seq"] <= last:
            return
        assert frame["seq"] == last + 1, "a fragment is missing"
        self.seqs[run] = frame["seq"]
        if frame["k"] == "t":
            self.texts[run] = self.texts.get(run, "") + frame["s"]
