"""How much one tab may bring: its files lie in memory until it is closed.

Streamlit refuses a single file that is too large; this counts what comes on top of one another. Does not
know what is in the files.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TABLE_MEGABYTES = 25
MODEL_MEGABYTES = 400
"""The largest single file. What is dropped lies in memory, so larger models come by their path."""
MOST_FILES = 200
MOST_BYTES = 500_000_000
_TABS_REMEMBERED = 1_000
_UPLOAD = re.compile(r"/_stcore/upload_file/([^/]+)/[^/]+")


@dataclass
class _Brought:
    files: int = 0
    bytes: int = 0


class UploadLimit:
    """ASGI middleware: 429 for a file that comes after a tab's share is used up."""

    def __init__(self, app: ASGIApp, most_files: int = MOST_FILES, most_bytes: int = MOST_BYTES) -> None:
        self._app = app
        self._most_files, self._most_bytes = most_files, most_bytes
        self._brought: OrderedDict[str, _Brought] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_put = scope["type"] == "http" and scope["method"] == "PUT"
        upload = _UPLOAD.fullmatch(scope["path"]) if is_put else None
        if upload is None:
            await self._app(scope, receive, send)
            return
        brought = self._find(upload[1])
        if brought.files >= self._most_files or brought.bytes >= self._most_bytes:
            sentence = "This page has taken in as much as it can. Reload it in the browser and try again."
            await PlainTextResponse(sentence, status_code=429)(scope, receive, send)
            return
        brought.files += 1

        async def receive_and_count() -> Message:
            message = await receive()
            brought.bytes += len(message.get("body", b""))
            return message

        await self._app(scope, receive_and_count, send)

    def _find(self, tab: str) -> _Brought:
        brought = self._brought.setdefault(tab, _Brought())
        self._brought.move_to_end(tab)
        while len(self._brought) > _TABS_REMEMBERED:
            self._brought.popitem(last=False)
        return brought
