#!/usr/bin/env python3
"""Prints as JSON what Python's email package reads in messages.

    python.py MESSAGE.eml ...        one answer for each file, by its path
    python.py TABLE.toml ...         one answer for each row, by its id
    python.py --root FOLDER FILE ... paths are written relative to FOLDER
    python.py --digest ...           texts cut to 200 characters, as they are kept in python.json

The modern policy is asked first; the old one, where the modern one raises.
"""

import email
import email.header
import email.policy
import email.utils
import html.parser
import json
import os
import platform
import re
import sys
import tomllib


def octets_of_row(message):
    """The octets that a row of a table stands for: escapes undone, CRLF at line ends."""
    octets = bytearray()
    at = 0
    simple = {"r": b"\r", "n": b"\n", "\\": b"\\"}
    while at < len(message):
        char = message[at]
        if char == "\\" and message[at + 1] == "x":
            octets.append(int(message[at + 2 : at + 4], 16))
            at += 4
        elif char == "\\":
            octets += simple[message[at + 1]]
            at += 2
        else:
            octets += b"\r\n" if char == "\n" else char.encode()
            at += 1
    return bytes(octets)


def old_header(value):
    """A field as the old interface decodes it."""
    if value is None:
        return ""
    try:
        return str(email.header.make_header(email.header.decode_header(str(value))))
    except (LookupError, UnicodeError, ValueError):
        return str(value)


def attempt(ask, fallback):
    """The modern answer, or the old one where the modern one raises."""
    try:
        return ask()
    except Exception:  # noqa: BLE001: what a broken message raises is of any kind
        try:
            return fallback()
        except Exception:  # noqa: BLE001
            return None


def person(name, address):
    if not address:
        return name
    return f"{name} <{address}>" if name else address


def addresses(modern, old, field):
    def ask():
        values = modern.get_all(field) or []
        people = [one for value in values for one in value.addresses]
        return [person(one.display_name, one.addr_spec if one.domain else "") for one in people]

    def fallback():
        pairs = email.utils.getaddresses([str(value) for value in old.get_all(field) or []])
        return [person(old_header(name), address) for name, address in pairs]

    return attempt(ask, fallback) or []


def moment(modern, old):
    def ask():
        read = modern["date"].datetime
        return None if read is None else int(read.timestamp())

    def fallback():
        fields = email.utils.parsedate_tz(str(old["date"]))
        return None if fields is None else int(email.utils.mktime_tz(fields))

    return attempt(ask, fallback)


class Words(html.parser.HTMLParser):
    """The words of an HTML document."""

    def __init__(self):
        super().__init__()
        self.words, self.hidden = [], 0

    def handle_starttag(self, tag, attrs):
        self.hidden += tag in ("style", "script", "title")

    def handle_endtag(self, tag):
        self.hidden -= self.hidden > 0 and tag in ("style", "script", "title")

    def handle_data(self, data):
        if not self.hidden:
            self.words.append(data)


def chosen_text(modern, old):
    def ask():
        body = modern.get_body(preferencelist=("plain", "html"))
        text = "" if body is None else body.get_content()
        if body is None or kind(body) != "text/html":
            return text
        words = Words()
        words.feed(text)
        words.close()
        return " ".join(words.words)

    def fallback():
        for part in old.walk():
            if part.get_content_maintype() == "text":
                return part.get_payload(decode=True).decode("utf-8", "replace")
        return ""

    return attempt(ask, fallback) or ""


def kind(part):
    return part.get_content_type().lower()


def leaves(message):
    """The types of what is no multipart; a message within is one."""
    found, todo = [], [message]
    while todo:
        part = todo.pop(0)
        multipart = part.get_content_maintype() == "multipart" and part.is_multipart()
        if not multipart:
            found.append(kind(part))
        else:
            todo = list(part.get_payload()) + todo
    return found


def attached(modern, old):
    def ask():
        found = []
        todo = [modern]
        while todo:
            part = todo.pop(0)
            if part.get_content_maintype() == "multipart" and part.is_multipart():
                todo = list(part.iter_parts()) + todo
            elif part.get_filename():
                found.append(part.get_filename())
        return found

    def fallback():
        return [old_header(part.get_filename()) for part in old.walk() if part.get_filename()]

    return attempt(ask, fallback) or []


def single_line(text):
    return re.sub(r"\s+", " ", text or "").strip()


def answer(octets, digest):
    modern = email.message_from_bytes(octets, policy=email.policy.default)
    old = email.message_from_bytes(octets)
    senders = addresses(modern, old, "from")
    text = single_line(chosen_text(modern, old))
    return {
        "subject": single_line(attempt(lambda: str(modern["subject"] or ""), lambda: old_header(old["subject"]))),
        "from": single_line(senders[0]) if senders else "",
        "to": [single_line(one) for one in addresses(modern, old, "to")],
        "date": moment(modern, old),
        "text": text[:200] if digest else text,
        "attachments": [single_line(name) for name in attached(modern, old)],
        "parts": attempt(lambda: leaves(modern), lambda: leaves(old)) or [],
    }


def main():
    arguments = sys.argv[1:]
    root, digest, files = None, False, []
    while arguments:
        argument = arguments.pop(0)
        if argument == "--root":
            root = arguments.pop(0)
        elif argument == "--digest":
            digest = True
        else:
            files.append(argument)
    answers = {}
    for path in files:
        if path.endswith(".toml"):
            with open(path, "rb") as table:
                for row in tomllib.load(table)["row"]:
                    answers[row["id"]] = answer(octets_of_row(row["message"]), digest)
        else:
            with open(path, "rb") as message:
                name = os.path.relpath(path, root) if root else path
                answers[name] = answer(message.read(), digest)
    text = json.dumps({"version": "Python " + platform.python_version(), "answers": answers}, ensure_ascii=False, indent=0, sort_keys=True)
    # Octets that are no text stand as lone surrogates.
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").encode())
    sys.stdout.buffer.write(b"\n")


main()
