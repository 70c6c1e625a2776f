"""What holds of zip archives, whether they have arrays or images in them."""

from __future__ import annotations

import tokenize
import zipfile
import zlib

HIGHEST_RATIO = 1100
"""Deflate makes data at most 1032 times smaller, so whatever claims more is no such file."""

BROKEN = (
    ValueError,
    EOFError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,  # a compression that Python lacks
    RuntimeError,  # a password
)
"""What Python raises for files that are no such archive or array."""
