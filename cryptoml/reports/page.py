"""HTML pages without scripts: sections of text, tables, code and images in one file, readable without a network."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptoml.errors import UsageError
from cryptoml.reports.tables import Column


@dataclass(frozen=True)
class Image:
    """A PNG and its caption, which is its alternative text, too."""

    png: bytes
    caption: str

    @property
    def address(self) -> str:
        """The image as a data address, with 64 colours, which plots do not exceed visibly."""
        from PIL import Image as Pixels

        smaller = io.BytesIO()
        with Pixels.open(io.BytesIO(self.png)) as image:
            image.convert("RGB").quantize(64).save(smaller, format="PNG", optimize=True)
        best = min(self.png, smaller.getvalue(), key=len)
        return f"data:image/png;base64,{base64.b64encode(best).decode()}"


@dataclass(frozen=True)
class PageSection:
    """A part of a page: paragraphs, then a table, code and images, as far as there are any."""

    title: str
    texts: Sequence[str] = ()
    columns: Sequence[Column] = ()
    code: str = ""
    images: Sequence[Image] = ()


def render_page(title: str, subtitle: str, sections: Sequence[PageSection], *, notes: Sequence[str] = ()) -> str:
    """Render a page as HTML; all texts are escaped. Empty sections are left out."""
    from importlib.resources import files

    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(files("cryptoml.reports").joinpath("page.html.j2").read_text(encoding="utf-8"))
    shown = [one for one in sections if one.texts or one.columns or one.code or one.images]
    return template.render(title=title, subtitle=subtitle, notes=notes, sections=shown)


def check_html_path(path: Path, option: str = "--html") -> None:
    """Raise UsageError unless the file name of a page ends with .html."""
    if path.suffix.lower() not in (".html", ".htm") or path.is_dir():
        raise UsageError(f"{option} {path}: the file name must end with .html.", hint=f"{option} report.html")


def write_page(path: Path, text: str) -> None:
    """Write a page atomically; creates the folder."""
    from cryptoml.system.files import translate_os_errors, write_atomically

    with translate_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
