"""The limits within which a file is read."""

from __future__ import annotations

from dataclasses import dataclass

from whichopt.workers.intake.problems import TooLarge


@dataclass(frozen=True)
class Limits:
    """Sizes of a table and of its reader; `table_bytes` also bounds a file once it is inflated."""

    rows: int = 5_000_000
    columns: int = 2_000
    features: int = 10_000
    table_bytes: int = 1 << 30
    memory_bytes: int = 4 << 30
    seconds: float = 120.0
    images: int = 100_000
    image_pixels: int = 40_000_000
    pixels: int = 4_000_000_000

    def hold(self) -> None:
        """Bound this process: its memory, its time, the size of a file that it writes; and no core dump."""
        import resource  # POSIX alone has it

        bounds = {
            resource.RLIMIT_AS: self.memory_bytes,
            resource.RLIMIT_CPU: max(1, round(2 * self.seconds)),  # of two cores; the keeper counts seconds
            resource.RLIMIT_FSIZE: self.table_bytes,
            resource.RLIMIT_CORE: 0,
        }
        for kind, bound in bounds.items():
            _, hard = resource.getrlimit(kind)
            if hard != resource.RLIM_INFINITY:
                bound = min(bound, hard)
            resource.setrlimit(kind, (bound, bound))

    def check(self, rows: int, columns: int) -> None:
        """Raise TooLarge if a table of that size may not be read."""
        if columns > self.columns:
            raise TooLarge(
                f"the table has {columns:,} columns; at most {self.columns:,} are allowed "
                "(WHICHOPT_MAX_COLUMNS)"
            )
        if rows > self.rows:
            raise TooLarge(
                f"the table has {rows:,} rows or more; at most {self.rows:,} are allowed (WHICHOPT_MAX_ROWS)"
            )
        if rows * columns * 8 > self.table_bytes:
            raise TooLarge(
                f"the table has {rows:,} rows or more of {columns:,} columns, which are "
                f"{rows * columns * 8:,} bytes at 8 a value; at most {self.table_bytes:,} are allowed "
                "(WHICHOPT_MAX_TABLE_BYTES)"
            )
