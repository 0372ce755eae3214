"""Output on the terminal: results on standard output, messages and progress on standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from cryptoml import events
from cryptoml.cli.streams import queue_result

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID
    from rich.table import Table


def message_console() -> Console:
    """Return the console for messages, warnings and progress, on standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def result_console() -> Console:
    """Return the console for results, on standard output; wide if that is not a terminal, so no column is cut."""
    from rich.console import Console

    plain_width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160
    return Console(highlight=False, soft_wrap=False, width=plain_width)


def printable(text: str) -> str:
    """Replace control characters, which could control the terminal; names in a store may contain any character."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)


class Listener:
    """Shows events: on a terminal with one progress bar per step, otherwise as plain lines."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self.console = console
        self.quiet = quiet
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._done: dict[str, tuple[int, int | None]] = {}

    def __call__(self, event: events.Event) -> None:
        """Show one event."""
        match event:
            case events.Info(text):
                self._line(text)
            case events.Warned(text):
                self._line(f"warning: {text}", style="yellow")
            case events.StepStarted(step, total):
                self._start(step, total)
            case events.StepAdvanced(step, detail, parts):
                self._advance(step, detail, parts)
            case events.StepFinished(step, seconds):
                self._finish(step, seconds)

    def close(self) -> None:
        """Stop the progress display."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _line(self, text: str, *, style: str | None = None) -> None:
        if self.quiet and style is None:
            return
        console = self._progress.console if self._progress is not None else self.console
        console.print(printable(text), style=style, markup=False)

    def _start(self, step: str, total: int | None) -> None:
        self._done[step] = (0, total)
        if self.quiet or not self.console.is_terminal:
            return
        if self._progress is None:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[detail]}", style="dim"),
                console=self.console,
            )
            self._progress.start()
        self._tasks[step] = self._progress.add_task(step, total=total, detail="")

    def _advance(self, step: str, detail: str, parts: int) -> None:
        count, total = self._done.get(step, (0, None))
        self._done[step] = (count + parts, total)
        if self._progress is not None and step in self._tasks:
            self._progress.update(self._tasks[step], advance=parts, detail=detail)
        elif not self.console.is_terminal:
            suffix = f"/{total}" if total else ""
            self._line(f"{step}: {count + parts}{suffix} {detail}".rstrip())

    def _finish(self, step: str, seconds: float) -> None:
        if self._progress is not None and step in self._tasks:
            self._progress.update(self._tasks.pop(step), detail=f"{seconds:.1f} s")
            if not self._tasks:
                self.close()
        elif not self.console.is_terminal:
            self._line(f"{step}: done in {seconds:.1f} s")


@contextmanager
def listening(*, quiet: bool = False) -> Iterator[Listener]:
    """Yield a listener that prints on standard error, and close it afterwards."""
    listener = Listener(message_console(), quiet=quiet)
    try:
        yield listener
    finally:
        listener.close()


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    left: int = 1,
    align: Sequence[Literal["left", "right"]] | None = None,
    fold: bool = False,
) -> None:
    """Print a table on standard output; the first `left` columns are left-aligned, the others right-aligned.

    `align` sets the alignment of each column instead. With `fold`, long texts wrap within their cells.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table: Table = Table(
        title=Text(printable(title)) if title else None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False
    )
    for index, column in enumerate(columns):
        justify = align[index] if align else "left" if index < left else "right"
        table.add_column(Text(printable(column)), justify=justify, no_wrap=not fold, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console = result_console()
    if not fold:
        # A truncated number is wrong, so a narrow terminal wraps the lines instead.
        console.width = max(console.width, console.measure(table, options=console.options.update(width=1000)).maximum)
    console.print(table, crop=False)


def print_lines(lines: Sequence[str]) -> None:
    """Print plain lines on standard output."""
    console = result_console()
    for line in lines:
        console.print(printable(line), markup=False, soft_wrap=True)


def print_result_lines(lines: Sequence[str]) -> None:
    """Queue lines for programs to read; they are the last output of the command."""
    queue_result("".join(f"{line}\n" for line in lines))
