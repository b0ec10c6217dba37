"""A browser without JavaScript: it keeps cookies, follows redirects, and fills in the forms of a page by their labels."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin
from xml.etree import ElementTree as ET

import httpx2
from starlette.testclient import TestClient

_VOID = {"meta", "link", "input", "br", "hr", "img"}
_DOCUMENT = "document"


class _Parser(HTMLParser):
    """Parses strictly: every element is closed in its place, and no id is used twice."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.builder = ET.TreeBuilder()
        self.builder.start(_DOCUMENT, {})
        self.open = list[str]()
        self.ids = set[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        assert len(attributes) == len(attrs), f"<{tag}> has an attribute twice"
        if "id" in attributes:
            assert attributes["id"] not in self.ids, f"the id {attributes['id']} is used twice"
            self.ids.add(attributes["id"])
        assert not any(name.startswith("on") or name == "style" for name in attributes), (
            f"<{tag}> {attributes}"
        )
        self.builder.start(tag, attributes)
        if tag in _VOID:
            self.builder.end(tag)
        else:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> closes {self.open[-1:]}"
        self.builder.end(self.open.pop())

    def handle_data(self, data: str) -> None:
        self.builder.data(data)


@dataclass(frozen=True)
class Page:
    """An answer, parsed. `url` is where the redirects have led."""

    status: int
    url: str
    headers: Mapping[str, str]
    tree: ET.Element
    html: str

    @property
    def path(self) -> str:
        return "/" + self.url.split("/", 3)[3].partition("?")[0]

    @property
    def text(self) -> str:
        """The text of the page's main part, on one line."""
        return texts(self.main)

    @property
    def main(self) -> ET.Element:
        return next(self.tree.iter("main"))

    @property
    def heading(self) -> str:
        headings = [texts(element) for element in self.tree.iter("h1")]
        assert len(headings) == 1, headings
        return headings[0]

    @property
    def links(self) -> dict[str, str]:
        """The addresses of links by their texts."""
        return {texts(link): link.attrib["href"] for link in self.tree.iter("a")}

    @property
    def rows(self) -> list[list[str]]:
        """The texts of the cells of all tables' bodies."""
        return [[texts(cell) for cell in row] for body in self.tree.iter("tbody") for row in body]

    def all(self, tag: str, **attributes: str) -> list[ET.Element]:
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [
            element
            for element in self.main.iter(tag)
            if all(value in element.attrib.get(name, "").split() for name, value in wanted.items())
        ]

    def form(self, button: str) -> ET.Element:
        """Return the form that has the button."""
        for form in self.tree.iter("form"):
            if any(texts(element) == button for element in form.iter("button")):
                return form
        raise AssertionError(f"no form has a button {button!r}: {self.text}")


def texts(element: ET.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def parsed(answer: httpx2.Response) -> Page:
    assert answer.headers["content-type"] == "text/html; charset=utf-8", answer.text[:200]
    parser = _Parser()
    parser.feed(answer.text)
    parser.close()
    assert parser.open == [], f"not closed: {parser.open}"
    parser.builder.end(_DOCUMENT)
    return Page(answer.status_code, str(answer.url), answer.headers, parser.builder.close(), answer.text)


@dataclass
class Browser:
    """One browser, with its own cookies, on the application of `client`."""

    client: TestClient
    cookies: dict[str, str] = field(default_factory=dict)

    def open(self, path: str, **options: Any) -> Page:
        return parsed(self.send("GET", path, **options))

    def send(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Return the last answer after redirects, which may be a file."""
        headers = {"Accept": "text/html", **options.pop("headers", {})}
        for _ in range(10):
            self.client.cookies.clear()
            sent = headers | (
                {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())} if self.cookies else {}
            )
            answer = self.client.request(method, path, headers=sent, follow_redirects=False, **options)
            self._keep(answer)
            if answer.status_code not in (302, 303, 307):
                return answer
            method, path, options = "GET", urljoin(path, answer.headers["location"]), {}
        raise AssertionError(f"too many redirects: {path}")

    def fill(
        self, page: Page, button: str, *, files: Mapping[str, tuple[str, bytes]] | None = None, **values: str
    ) -> Page:
        """Press a button of a form, with these texts in its fields; the form's own values stand in the others."""
        return parsed(self.press(page, button, files=files, **values))

    def press(
        self, page: Page, button: str, *, files: Mapping[str, tuple[str, bytes]] | None = None, **values: str
    ) -> httpx2.Response:
        form = page.form(button)
        fields = dict[str, Any]()
        for name, value in _fields(form, button):
            fields[name] = [*fields[name], value] if isinstance(fields.get(name), list) else [value]
        unknown = set(values) - {name for element in form.iter() if (name := element.attrib.get("name"))}
        assert not unknown, f"the form has no field {unknown}"
        data = fields | values
        if form.attrib.get("method", "get") != "post":
            return self.send("GET", form.attrib["action"], params=data)
        if form.attrib.get("enctype") == "multipart/form-data":
            plain = {
                name: (None, value if isinstance(value, str) else value[0]) for name, value in data.items()
            }
            parts = plain | dict(files or {"file": ("", b"")})
            return self.send("POST", form.attrib["action"], files=parts)
        return self.send("POST", form.attrib["action"], data=data)

    def sign_in(self, email: str, password: str = "correct horse", path: str = "/office") -> Page:
        return self.fill(self.open(path), "Sign in", email=email, password=password)

    def _keep(self, answer: httpx2.Response) -> None:
        for header in answer.headers.get_list("set-cookie"):
            name, _, value = header.partition(";")[0].partition("=")
            self.cookies[name] = value


def _fields(form: ET.Element, button: str) -> Iterator[tuple[str, str]]:
    for element in form.iter():
        name, kind = element.attrib.get("name"), element.attrib.get("type", "")
        match element.tag:
            case "input" if (name and kind == "checkbox") or kind == "radio":
                if name and "checked" in element.attrib:
                    yield name, element.attrib.get("value", "on")
            case "input" if name and kind != "file":
                yield name, element.attrib.get("value", "")
            case "textarea" if name:
                yield name, "".join(element.itertext()).removeprefix("\n")  # as HTML has it
            case "select" if name:
                options = list(element.iter("option"))
                chosen = [option for option in options if "selected" in option.attrib] or options[:1]
                yield name, chosen[0].attrib.get("value", texts(chosen[0]))
            case "button" if name and texts(element) == button:
                yield name, element.attrib.get("value", "")
