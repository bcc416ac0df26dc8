#!/usr/bin/env python3
"""Prints as JSON what Thunderbird shows of messages; the same arguments and keys as python.py.

    thunderbird.py [--root FOLDER] [--digest] FILE ...

Needs `thunderbird` (128 or later) on the PATH, and no display: it is started headless with a profile of its own, asked over
Marionette on loopback, and ended. Each message goes into a local folder; subject, author and recipients are those of the
message list, the text is that of the message pane, attachments and types are those of the attachment pane.
"""

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import tomllib

START = 60  # seconds until it listens
BATCH = 25  # messages asked for at once
ANSWER = 120  # seconds for a batch

PREFERENCES = """
user_pref("marionette.port", %d);
user_pref("app.update.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("mail.provider.suppress_dialog_on_startup", true);
user_pref("toolkit.telemetry.enabled", false);
"""

SCRIPT = r"""
const [messages, done] = [arguments[0], arguments[arguments.length - 1]];
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const { MsgHdrToMimeMessage } = ChromeUtils.importESModule("resource:///modules/gloda/MimeMessage.sys.mjs");

function timeLimited(promise, otherwise) {
  return Promise.race([promise, new Promise(resolve => setTimeout(() => resolve(otherwise), 4000))]);
}

// The document of the message pane.
function shown(header) {
  return timeLimited(new Promise(resolve => {
    const uri = header.folder.getUriForMsg(header);
    const url = MailServices.messageServiceFromURI(uri).getUrlForUri(uri);
    let octets = "";
    const listener = {
      QueryInterface: ChromeUtils.generateQI(["nsIStreamListener", "nsIRequestObserver"]),
      onStartRequest() {},
      onStopRequest() { resolve(new TextDecoder().decode(Uint8Array.from(octets, c => c.charCodeAt(0)))); },
      onDataAvailable(request, input, offset, count) {
        const reader = Cc["@mozilla.org/binaryinputstream;1"].createInstance(Ci.nsIBinaryInputStream);
        reader.setInputStream(input);
        octets += reader.readBytes(count);
      },
    };
    const channel = Services.io.newChannelFromURI(url, null, Services.scriptSecurityManager.getSystemPrincipal(), null,
      Ci.nsILoadInfo.SEC_ALLOW_CROSS_ORIGIN_SEC_CONTEXT_IS_NULL, Ci.nsIContentPolicy.TYPE_OTHER);
    const converters = Cc["@mozilla.org/streamConverters;1"].getService(Ci.nsIStreamConverterService);
    channel.asyncOpen(converters.asyncConvertData("message/rfc822", "text/html", listener, channel));
  }), "");
}

// The words of it, without the table of fields above and without what is not displayed.
function words(source) {
  const document = new DOMParser().parseFromString(source, "text/html");
  let text = "";
  const walk = node => {
    if (node.nodeType == 3) {
      text += node.data;
      return;
    }
    if (node.nodeType != 1 || /^(style|script|title|head)$/i.test(node.localName)) {
      return;
    }
    if (/display\s*:\s*none/i.test(node.getAttribute("style") || "") || node.hasAttribute("hidden")) {
      return;
    }
    const block = !/^(a|abbr|b|bdi|bdo|big|code|em|font|i|img|ins|small|span|strong|sub|sup|tt|u)$/i.test(node.localName);
    text += block ? "\n" : "";
    node.childNodes.forEach(walk);
    text += block ? "\n" : "";
  };
  for (const part of document.querySelectorAll(".moz-text-plain, .moz-text-flowed, .moz-text-html")) {
    if (!part.parentElement.closest(".moz-text-plain, .moz-text-flowed, .moz-text-html")) {
      walk(part);
    }
  }
  return text;
}

function leaves(part) {
  const kind = (part.contentType || "").split(";")[0].trim().toLowerCase();
  if (kind.startsWith("multipart/") && part.parts?.length) {
    return part.parts.flatMap(leaves);
  }
  return kind ? [kind] : [];
}

function people(field) {
  // The list keeps text; the parser takes octets.
  const octets = String.fromCharCode(...new TextEncoder().encode(field || ""));
  return MailServices.headerParser.parseEncodedHeader(octets)
    .map(one => (one.name && one.email && one.name != one.email ? `${one.name} <${one.email}>` : one.email || one.name));
}

(async () => {
  const answers = {};
  try {
    try {
      MailServices.accounts.localFoldersServer;
    } catch {
      MailServices.accounts.createLocalMailAccount();
    }
    const root = MailServices.accounts.localFoldersServer.rootFolder.QueryInterface(Ci.nsIMsgLocalMailFolder);
    const folder = root.createLocalSubfolder("peers" + Date.now()).QueryInterface(Ci.nsIMsgLocalMailFolder);
    for (const [name, encoded] of messages) {
      try {
        const header = folder.addMessage(atob(encoded));
        const now = Date.now() / 1000;
        const date = header.dateInSeconds;
        const answer = {
          subject: header.mime2DecodedSubject,
          from: people(header.author)[0] || "",
          to: people(header.recipients),
          // Without a date that can be read the time of arrival is taken.
          date: date == 0 || Math.abs(date - now) < 3600 ? null : date,
          text: words(await shown(header)),
          attachments: [],
          parts: [],
        };
        const read = await timeLimited(new Promise(resolve => {
          MsgHdrToMimeMessage(header, null, (_, message) => resolve(message), true, { examineEncryptedParts: true });
        }), null);
        if (read) {
          answer.attachments = read.allAttachments.map(one => one.name);
          answer.parts = read.parts.flatMap(leaves);
        }
        answers[name] = answer;
      } catch (error) {
        answers[name] = { error: String(error) };
      }
    }
    done(answers);
  } catch (error) {
    done({ error: String(error) + error.stack });
  }
})();
"""


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


class Marionette:
    """The wire protocol: a length, a colon, an array."""

    def __init__(self, port, alive):
        until = time.monotonic() + START
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER + 30)
                break
            except OSError:
                if not alive() or time.monotonic() > until:
                    raise SystemExit("thunderbird does not listen") from None
                time.sleep(0.5)
        self.file = self.socket.makefile("rb")
        self.count = 0
        self.receive()

    def receive(self):
        length = b""
        while (octet := self.file.read(1)) != b":":
            if not octet:
                raise SystemExit("thunderbird is gone")
            length += octet
        return json.loads(self.file.read(int(length)))

    def command(self, name, **parameters):
        self.count += 1
        text = json.dumps([0, self.count, name, parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(text), text))
        _, _, error, result = self.receive()
        if error:
            raise SystemExit(f"{name}: {error}")
        return result


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def single_line(text):
    return re.sub(r"\s+", " ", text or "").strip()


def tidy(answer, digest):
    if "error" in answer:
        return answer
    text = single_line(answer["text"])
    return {
        "subject": single_line(answer["subject"]),
        "from": single_line(answer["from"]),
        "to": [single_line(one) for one in answer["to"]],
        "date": answer["date"],
        "text": text[:200] if digest else text,
        "attachments": [single_line(one) for one in answer["attachments"]],
        "parts": answer["parts"],
    }


def main():
    arguments = sys.argv[1:]
    root, digest, messages = None, False, []
    while arguments:
        argument = arguments.pop(0)
        if argument == "--root":
            root = arguments.pop(0)
        elif argument == "--digest":
            digest = True
        elif argument.endswith(".toml"):
            with open(argument, "rb") as table:
                messages += [(row["id"], octets_of_row(row["message"])) for row in tomllib.load(table)["row"]]
        else:
            with open(argument, "rb") as message:
                messages.append((os.path.relpath(argument, root) if root else argument, message.read()))

    profile = tempfile.mkdtemp(prefix="thunderbird-peer-")
    process = None
    answers, version = {}, ""
    try:
        port = free_port()
        with open(os.path.join(profile, "user.js"), "w", encoding="utf-8") as preferences:
            preferences.write(PREFERENCES % port)
        process = subprocess.Popen(
            ["thunderbird", "--headless", "--no-remote", "--marionette", "--remote-allow-system-access", "--profile", profile],
            env=dict(os.environ, HOME=profile, TZ="UTC", LANG="C.UTF-8"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        client = Marionette(port, lambda: process.poll() is None)
        session = client.command("WebDriver:NewSession", capabilities={})
        version = "Thunderbird " + session["capabilities"]["browserVersion"]
        client.command("Marionette:SetContext", value="chrome")
        client.command("WebDriver:SetTimeouts", script=ANSWER * 1000)
        for start in range(0, len(messages), BATCH):
            batch = [(name, base64.b64encode(octets).decode()) for name, octets in messages[start : start + BATCH]]
            result = client.command("WebDriver:ExecuteAsyncScript", script=SCRIPT, args=[batch], newSandbox=True, sandbox="system")
            answers.update({name: tidy(answer, digest) for name, answer in result["value"].items()})
    finally:
        if process is not None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(profile, ignore_errors=True)
    text = json.dumps({"version": version, "answers": answers}, ensure_ascii=False, indent=0, sort_keys=True)
    sys.stdout.buffer.write(text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").encode())
    sys.stdout.buffer.write(b"\n")


main()
