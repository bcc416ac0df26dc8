#!/usr/bin/env python3
"""Measures how long the webmail and mailclient take for the nastiest messages of up to 1 MiB, and how long others wait.

    cargo build --release --bin mailserver --bin mailclient
    benches/scripts/nasty.py target/release [OCTETS] [WORD ..]

For each message: milliseconds for its page, its frame, the form that answers it, the list that it stands in, and
`mailclient read`; then the longest that somebody else waited for a page that needs nothing (the login page) while four
of the frames were requested at once. Words select messages.

    benches/scripts/nasty.py --write FOLDER
    cargo bench -p hikyaku-benches --bench held -- FOLDER

writes the messages into a folder, and measures how long a page of them holds the thread that others share.
"""
import http.client, imaplib, os, re, shutil, ssl, subprocess, sys, tempfile, threading, time, urllib.parse

PASSWORD = "measured by hand"
target = os.path.abspath(sys.argv[2 if sys.argv[1] == "--write" else 1])
numbers = [int(word) for word in sys.argv[2:] if word.isdigit()]
most = numbers[0] if numbers else 1024 * 1024
chosen = [word for word in sys.argv[2:] if not word.isdigit()]
LIMIT = 500

HEAD = "From: Sender <s@remote.test>\r\nTo: alice@example.test\r\nSubject: nasty\r\nMIME-Version: 1.0\r\n"
HTML = HEAD + "Content-Type: text/html; charset=utf-8\r\n\r\n"
TEXT = HEAD + "Content-Type: text/plain; charset=utf-8\r\n\r\n"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

# Begin, what is repeated (`#` is a number that grows), and the end.
MESSAGES = {
    "lists in lists": (HTML, "<ul><li>", "x"),
    "tables in tables": (HTML, "<table><tr><td>", "x"),
    "blocks in blocks": (HTML, "<div>", "x"),
    "quotes in quotes": (HTML, "<blockquote>a ", "x"),
    "bold without end": (HTML, "<b>", "x"),
    "fonts, each another, in paragraphs": (HTML, "<p><font color=#c# size=#>", "x"),
    "links in links": (HTML, "<a href='https://a.test/#'><p>", "x"),
    "misnested": (HTML, "<b><i><p></b></i><div><a><table></a>", "x"),
    "tables that leak text": (HTML, "<table>a<b>", "x"),
    "selects": (HTML, "<select><option>", "x"),
    "svg in svg": (HTML, "<svg><g><math><mi>", "x"),
    "templates": (HTML, "<template><td>", "x"),
    "comments": (HTML, "<!-- # -->", "x"),
    "comments that do not end": (HTML, "<!--", ""),
    "tags that do not end": (HTML, "<a href=", ""),
    "attributes": (HTML + "<p ", "a#=b ", ">x"),
    "style attributes": (HTML, "<p style='color:red;background:#fff;font-size:#px'>#", ""),
    "one style attribute": (HTML + "<p style='", "color:red;background:url(#);", "'>x"),
    "rules": (HTML + "<style>", ".c#{color:red;background:blue} ", "</style><p class=c1>x"),
    "selectors": (HTML + "<style>", "a b > c + d ~ e.f#g[h] ", "{color:red}</style><p>x"),
    "rules without end": (HTML + "<style>", "@media x{", "</style><p>x"),
    "classes and elements": (HTML + "<style>.a b{color:red}</style>", "<p class='a b c#'>x", ""),
    "entities": (HTML, "&amp;&#x41;&nosuch;&", ""),
    "images of the message": (HTML, "<img src=cid:#@x>", ""),
    "images elsewhere": (HTML, "<img src=https://img.test/#.png>", ""),
    "links": (HTML, "<a href=https://evil.test/#>https://bank.test/#</a> ", ""),
    "one word": (HTML, "x", ""),
    "non-breaking": (HTML, "&nbsp;", ""),
    "guillemets": (HTML, "«", ""),
    "guillemets in an attribute": (HTML, "<img alt='" + "«" * 4000 + "' src=https://img.test/#.png>", ""),
    "plain lines": (TEXT, "a line of text, number #\r\n", ""),
    "one plain line": (TEXT, "x", ""),
    "addresses in text": (TEXT, "https://a.test/# b#@c.test www.d.test ", ""),
    "almost addresses": (TEXT, "http://http://@@..", ""),
    "quote marks": (TEXT, ">", ""),
    "quoted lines": (TEXT, ">> > a\r\n", ""),
    "flowed": (TEXT.replace("utf-8", "utf-8; format=flowed; delsp=yes"), "> a \r\n", ""),
    "undeclared": (HEAD + "\r\n", "\udc93\udcfa\udc96{ ", ""),
    "direction": (TEXT, "\u202e\u2066a", ""),
    "headers": (HEAD, "X-#: y\r\n", "\r\nx"),
    "a long header": (HEAD + "X: ", "y ", "\r\n\r\nx"),
    "folds": (HEAD + "Subject: a", "\r\n b", "\r\n\r\nx"),
    "recipients": (HEAD + "Cc: a@b.test", ", n# <a#@b.test>", "\r\n\r\nx"),
    "recipients without end": (HEAD + "Cc: ", "<\"(", "\r\n\r\nx"),
    "encoded words": (HEAD + "Subject: ", "=?iso-2022-jp?B?GyRCSHQ1UxsoQg==?= ", "\r\n\r\nx"),
    "almost encoded words": (HEAD + "Subject: ", "=?utf-8?Q?", "\r\n\r\nx"),
    "references": (HEAD + "References: ", "<#@x> ", "\r\n\r\nx"),
    "file name pieces": (HEAD + "Content-Type: a/b", "; name*#*=%41", "\r\n\r\nx"),
    "parts": (HEAD + "Content-Type: multipart/mixed; boundary=b\r\n\r\n", "--b\r\n\r\na\r\n", "--b--\r\n"),
    "attachments": (HEAD + "Content-Type: multipart/mixed; boundary=b\r\n\r\n",
        "--b\r\nContent-Type: a/b; name=f#\r\n\r\na\r\n", "--b--\r\n"),
    "pictures": (HEAD + "Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n"
        + "<img src=cid:1@x>\r\n", f"--b\r\nContent-Type: image/png\r\nContent-ID: <#@x>\r\n"
        f"Content-Transfer-Encoding: base64\r\n\r\n{PNG}\r\n", "--b--\r\n"),
    "multiparts in multiparts": (HEAD, "Content-Type: multipart/mixed; boundary=b#.\r\n\r\n--b#.\r\n", "\r\nx"),
    "messages in messages": (HEAD, "Content-Type: message/rfc822\r\n\r\n", "Subject: x\r\n\r\nx"),
    "html parts": (HEAD + "Content-Type: multipart/mixed; boundary=b\r\n\r\n",
        "--b\r\nContent-Type: text/html\r\n\r\n<b><style>p{color:red}</style>\r\n", "--b--\r\n"),
}


def message(begin, piece, end):
    pieces, length = [], len(begin) + len(end)
    number = 0
    while length < most:
        text = piece.replace("#", str(number))
        number += 1
        pieces.append(text)
        length += len(text.encode("utf-8", "surrogateescape"))
    return (begin + "".join(pieces) + end).encode("utf-8", "surrogateescape")


if sys.argv[1] == "--write":
    os.makedirs(target, exist_ok=True)
    for name, parts in MESSAGES.items():
        with open(os.path.join(target, name.replace(" ", "-") + ".eml"), "wb") as file:
            file.write(message(*parts))
    sys.exit()

folder = tempfile.mkdtemp(prefix="hikyaku-nasty-")
config = os.path.join(folder, "mailserver.toml")
with open(config, "w") as file:
    file.write(
        f'hostname = "localhost"\ndata = "{folder}/data"\ndomains = ["example.test"]\n[listen]\n'
        'submissions = "127.0.0.1:0"\nimap = "127.0.0.1:0"\nimaps = "127.0.0.1:0"\nhttps = "127.0.0.1:0"\n'
        '[auth]\nplaintext = "always"\n'
    )
program = lambda name: os.path.join(target, name)
add = [program("mailserver"), "--config", config, "account", "add", "alice@example.test"]
subprocess.run(add, input=PASSWORD.encode(), check=True, capture_output=True)
server = subprocess.Popen(
    [program("mailserver"), "--config", config], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
)
ports = {}
while len(ports) < 4:
    found = re.match(r"\s+(\w+) 127\.0\.0\.1:(\d+)", server.stdout.readline())
    if found:
        ports[found[1]] = int(found[2])
context = ssl._create_unverified_context()


class Browser:
    """One connection to the webmail, logged in or not."""

    def __init__(self, log_in=True):
        self.peer = http.client.HTTPSConnection("localhost", ports["Https"], context=context, timeout=120)
        self.cookie = ""
        if log_in:
            form = urllib.parse.urlencode({"name": "alice@example.test", "password": PASSWORD})
            self.peer.request("POST", "/login", form, {"Content-Type": "application/x-www-form-urlencoded"})
            answer = self.peer.getresponse()
            answer.read()
            self.cookie = answer.getheader("Set-Cookie").split(";")[0]

    def get(self, path):
        """Milliseconds until all of a page is there."""
        began = time.monotonic()
        self.peer.request("GET", path, headers={"Cookie": self.cookie})
        answer = self.peer.getresponse()
        answer.read()
        took = (time.monotonic() - began) * 1000
        return took if answer.status == 200 else float("inf")


def waits(browser, path):
    """The longest that the login page takes, in milliseconds, while four frames are made at once."""
    others = [Browser() for _ in range(3)] + [browser]
    bystander, longest, ready = Browser(log_in=False), [0.0], threading.Event()
    bystander.get("/login")
    threads = [threading.Thread(target=other.get, args=(path,)) for other in others]

    def stand_by():
        while not ready.is_set():
            longest[0] = max(longest[0], bystander.get("/login"))
            time.sleep(0.002)

    watch = threading.Thread(target=stand_by)
    watch.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ready.set()
    watch.join()
    return longest[0]


over = []
try:
    imap = imaplib.IMAP4("127.0.0.1", ports["Imap"])
    imap.login("alice@example.test", PASSWORD)
    names = [name for name in MESSAGES if not chosen or any(word in name for word in chosen)]
    for name in names:
        status, said = imap.append("INBOX", None, None, message(*MESSAGES[name]))
        assert status == "OK", (name, said)
    imap.logout()
    home = os.path.join(folder, "home")
    client = [program("mailclient"), "--home", home]
    ca = os.path.join(folder, "data/tls/ca.pem")
    subprocess.run(
        client + ["account", "add", "alice@example.test", "--type", "imap", "--ca", ca, "--no-test",
            "--incoming", f"localhost:{ports['Imaps']}", "--incoming-security", "tls", "--outgoing-security", "tls",
            "--outgoing", f"localhost:{ports['Submissions']}", "--password-command", f"echo '{PASSWORD}'"],
        check=True, capture_output=True,
    )
    began = time.monotonic()
    subprocess.run(client + ["sync"], check=True, capture_output=True, timeout=600)
    print(f"{len(names)} messages of {most} octets, brought by mailclient in {time.monotonic() - began:.2f} s")
    browser = Browser()
    print(f"{'milliseconds':36}{'page':>8}{'frame':>8}{'answer':>8}{'client':>8}{'others':>8}")
    for at, name in enumerate(names, 1):
        uid = f"INBOX%2F{at}"
        row = [browser.get(f"/{page}={uid}") for page in ("message?id", "message/frame?id", "compose?reply")]
        began = time.monotonic()
        subprocess.run(client + ["read", f"INBOX/{at}"], check=True, capture_output=True, timeout=600)
        row.append((time.monotonic() - began) * 1000)
        others = waits(browser, f"/message/frame?id={uid}")
        print(f"{name:36}" + "".join(f"{value:8.0f}" for value in row) + f"{others:8.0f}", flush=True)
        if max(row) > LIMIT:
            over.append(name)
    print(f"the list: {browser.get('/folder?name=INBOX'):.0f} ms")
    print(f"over {LIMIT} ms: {', '.join(over) or 'none'}")
finally:
    server.terminate()
    server.wait()
    shutil.rmtree(folder, ignore_errors=True)
sys.exit(1 if over else 0)
