"""The files of ours that pages load: one that is asked for by its content's hash is kept by the browser."""

from __future__ import annotations

import os

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope


class Assets(StaticFiles):
    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Say how long the file may be kept: for good, if its address changes with its content (`?v=`)."""
        answer = super().file_response(full_path, stat_result, scope, status_code)
        named = b"v=" in scope.get("query_string", b"")
        answer.headers["Cache-Control"] = "private, max-age=31536000, immutable" if named else "no-cache"
        return answer
