#!/usr/bin/env python3
"""Attacks a running mailserver and measures, for each kind of attack, its memory and how long others wait meanwhile.

    cargo build --release --bin mailserver
    benches/scripts/hostile.py target/release/mailserver [NAME ..]

Every row has its own server on loopback ports, with its own folder. During the attack from other addresses of this
machine, somebody logs in by IMAP, selects INBOX, gets a message by LMTP and opens the login page of the webmail, again
and again; the longest time of each is printed. Fails when a row takes 512 MiB or more, or one of these steps a second or
more. Linux only; needs nothing but Python, some minutes, and 1 GiB in the folder for temporary files.
"""
import base64, os, re, resource, shutil, signal, socket, ssl, struct, subprocess, sys, tempfile, threading, time

PASSWORD = "a secret of words"
MIB = 1024 * 1024
MOST_MEMORY = 512
MOST_SECONDS = 1.0
LASTS = float(os.environ.get("HOSTILE_SECONDS", "6"))
SEARCHED = int(os.environ.get("HOSTILE_SEARCHED_MIB", "400"))
ATTACKER = "127.0.0.66"
SOFT, HARD = resource.getrlimit(resource.RLIMIT_NOFILE)
SERVICES = "smtp submission lmtp pop3 imap imaps http https metrics".split()


class Server:
    def __init__(self, program, folder, more=""):
        self.folder = folder
        self.config = os.path.join(folder, "mailserver.toml")
        listen = "".join(f'{service} = "127.0.0.1:0"\n' for service in SERVICES)
        with open(self.config, "w") as file:
            file.write(
                f'hostname = "localhost"\ndata = "{folder}/data"\ndomains = ["example.test"]\n'
                f'[auth]\nplaintext = "always"\n[limits]\nquota = "10 GiB"\n{more}\n[listen]\n{listen}'
            )
        for name in ("alice", "bob", "mallory"):
            add = [program, "--config", self.config, "account", "add", f"{name}@example.test"]
            subprocess.run(add, input=PASSWORD.encode(), check=True, capture_output=True)
        self.log = open(os.path.join(folder, "log"), "w")
        # It begins with what a shell gives it.
        usual = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT, HARD))
        self.process = subprocess.Popen(
            [program, "--config", self.config], stdout=subprocess.PIPE, stderr=self.log, text=True, preexec_fn=usual
        )
        self.at = {}
        while len(self.at) < len(SERVICES):
            line = self.process.stdout.readline()
            assert line, open(os.path.join(folder, "log")).read()
            found = re.match(r"\s+(\w+) 127\.0\.0\.1:(\d+)", line)
            if found:
                self.at[found[1].lower()] = int(found[2])

    def peak(self):
        text = open(f"/proc/{self.process.pid}/status").read()
        return int(re.search(r"VmHWM:\s+(\d+)", text)[1]) / 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def connect(self, service, source="127.0.0.1", timeout=10):
        peer = socket.socket()
        peer.settimeout(timeout)
        peer.bind((source, 0))
        peer.connect(("127.0.0.1", self.at[service]))
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return peer

    def web(self, source="127.0.0.1", timeout=10):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(self.connect("https", source, timeout))

    def imap(self, name, source="127.0.0.1"):
        peer = self.connect("imap", source)
        lines = peer.makefile("rb")
        greeting = lines.readline()
        assert greeting.startswith(b"* OK"), greeting
        command(peer, lines, f'LOGIN {name}@example.test "{PASSWORD}"')
        return peer, lines

    def session(self, name, source="127.0.0.1"):
        """The cookie of a session of the webmail, and the token of its forms."""
        form = f"name={name}@example.test&password={PASSWORD.replace(' ', '+')}"
        said = self.ask(
            "POST /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/"
            f"x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n{form}", source)
        cookie = re.search(r"set-cookie: ([^;]+)", said)[1]
        page = self.ask(
            f"GET /compose HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: {cookie}\r\n\r\n", source)
        return cookie, re.search(r'name="csrf" value="([^"]+)"', page)[1]

    def ask(self, request, source="127.0.0.1"):
        with self.web(source) as peer:
            peer.sendall(request.encode())
            said = b""
            while piece := peer.recv(65536):
                said += piece
        return said.decode(errors="replace")

    def deliver(self, to, message, source="127.0.0.1"):
        with self.connect("lmtp", source) as peer:
            lines = peer.makefile("rb")
            peer.sendall(
                f"LHLO a\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<{to}@example.test>\r\nDATA\r\n".encode()
                + message + b"\r\n.\r\nQUIT\r\n")
            said = lines.read()
            assert b"250 2.0.0 Delivered" in said, said

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.log.close()


def command(peer, lines, text):
    peer.sendall(f"x {text}\r\n".encode())
    said = b""
    while not said.startswith(b"x "):
        said = lines.readline()
        assert said, "closed"
    assert said.startswith(b"x OK"), said


def mail(server):
    peer, lines = server.imap("alice")
    command(peer, lines, "SELECT INBOX")
    server.deliver("alice", b"Subject: honest\r\n\r\nmail")
    command(peer, lines, "LOGOUT")
    peer.close()


def page(server):
    said = server.ask("GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert said.startswith("HTTP/1.1 200"), said


# ---- what attackers do: each returns when all is set up, and what it returns goes on until it is killed ----

def crowd(server, service, many, source=ATTACKER):
    return [server.connect(service, source) for _ in range(many)]


def idle(*services, many=300, source=ATTACKER):
    return lambda server: [crowd(server, service, many, source) for service in services]


def idle_of_many(*services):
    def attack(server):
        return [crowd(server, service, 64, f"127.0.7.{n}") for service in services for n in range(1, 11)]
    return attack


def shaken(server):
    """Idle connections that have shaken hands."""
    return [server.web(ATTACKER) for _ in range(300)]


def flood(peers, octets, most=None, pause=0.0):
    """Sends to all of them as much as they take."""
    def go_on():
        sent = {peer: 0 for peer in peers}
        while sent:
            for peer in list(sent):
                try:
                    peer.settimeout(0.02)
                    piece = octets(peer) if callable(octets) else octets
                    peer.sendall(piece)
                    sent[peer] += len(piece)
                except (TimeoutError, ssl.SSLWantWriteError):
                    continue
                except OSError:
                    del sent[peer]
                    continue
                if most and sent[peer] >= most:
                    del sent[peer]
            time.sleep(pause)
    return go_on


def unfinished(path, kind, first, many=24, session=None, most=40 * MIB):
    def attack(server):
        cookie, csrf = server.session(session, ATTACKER) if session else ("", "")
        peers = []
        for _ in range(many):
            peer = server.web(ATTACKER)
            peer.sendall(
                f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nCookie: {cookie}\r\n"
                f"Content-Length: {48 * MIB}\r\n\r\n{first.format(csrf=csrf)}".encode())
            peers.append(peer)
        return flood(peers, b"a" * 65536, most)
    return attack


PLAIN = "application/x-www-form-urlencoded"
PARTS = "multipart/form-data; boundary=b"
PART = '--b\r\nContent-Disposition: form-data; name="{}"'
OWN = PART.format("csrf") + "\r\n\r\n{csrf}\r\n"
FILE = PART.format("files") + '; filename="a"\r\n\r\n'
TEXT = PART.format("text") + "\r\n\r\n"


def slow_heads(server):
    peers = [server.web(ATTACKER) for _ in range(64)]
    for peer in peers:
        peer.sendall(b"GET /login HTTP/1.1\r\nHost: localhost\r\n")
    return flood(peers, b"X-a: b\r\n", pause=0.5)


def slow_bodies(server):
    peers = [server.web(ATTACKER) for _ in range(64)]
    for peer in peers:
        peer.sendall(
            f"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: {PLAIN}\r\nContent-Length: 9999\r\n\r\n".encode())
    return flood(peers, b"a", pause=0.5)


def long_heads(server):
    peers = [server.web(ATTACKER) for _ in range(64)]
    for peer in peers:
        peer.sendall(b"GET /login HTTP/1.1\r\nHost: localhost\r\nX-a: ")
    return flood(peers, b"a" * 65536)


def forever(work, many=1):
    """Does that in threads, again and again, whatever becomes of it."""
    def loop():
        while True:
            try:
                work()
            except (OSError, AssertionError):
                time.sleep(0.01)
    def go_on():
        threads = [threading.Thread(target=loop, daemon=True) for _ in range(many)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return go_on


def handshakes(server):
    def work():
        server.web(ATTACKER).close()
    return forever(work, 8)


def garbage(server):
    services = ["smtp", "pop3", "imap", "submission", "https", "http"]
    def work():
        for service in services:
            with server.connect(service, ATTACKER, 1) as peer:
                for _ in range(50):
                    peer.sendall(os.urandom(4096) + b"\r\n")
    return forever(work, 8)


def long_lines(server):
    peers = []
    for service, first in [
        ("imap", b"a LOGIN {1000000000}\r\n"), ("imap", b"a LOGIN "), ("imap", b"a SEARCH " + b"(" * 1000),
        ("smtp", b"EHLO "), ("submission", b"AUTH PLAIN "), ("pop3", b"USER "), ("lmtp", b"LHLO "),
    ]:
        for _ in range(20):
            peer = server.connect(service, ATTACKER)
            peer.sendall(first)
            peers.append(peer)
    return flood(peers, b"a" * 65536)


def literals(server):
    peers = []
    for n in range(40):
        peer, lines = server.imap("mallory", f"127.0.8.{n + 1}")
        peer.sendall(b"a APPEND INBOX {40000000+}\r\n")
        peers.append(peer)
    return flood(peers, b"a" * 65536, 10 * MIB)


def unfinished_mail(server):
    peers = []
    for _ in range(60):
        peer = server.connect("smtp", ATTACKER)
        peer.sendall(b"EHLO a\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<mallory@example.test>\r\nDATA\r\n")
        peers.append(peer)
    return flood(peers, b"a" * 70 + b"\r\n", pause=0.01)


def pipelined(server):
    """Commands without end, and nobody reads what they are answered."""
    peers = []
    for service, login, octets in [
        ("smtp", b"EHLO a\r\n", b"NOOP\r\n" * 10000),
        ("pop3", f"USER mallory@example.test\r\nPASS {PASSWORD}\r\n".encode(), b"CAPA\r\n" * 10000),
        ("imap", f'a LOGIN mallory@example.test "{PASSWORD}"\r\n'.encode(), b"a CAPABILITY\r\n" * 5000),
    ]:
        for _ in range(20):
            peer = server.connect(service, ATTACKER)
            peer.sendall(login)
            peers.append((peer, octets))
    pieces = dict(peers)
    return flood(list(pieces), lambda peer: pieces[peer])


def fill(server, name, mebibytes):
    """Messages of one MiB that hold no words."""
    def some():
        for _ in range(mebibytes // 16):
            text = base64.encodebytes(os.urandom(774_000)).replace(b"\n", b"\r\n")
            for n in range(4):
                server.deliver(name, b"Subject: %d\r\n\r\n%d\r\n%s" % (n, n, text))
    threads = [threading.Thread(target=some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def searches(server):
    fill(server, "mallory", SEARCHED)
    def attack():
        peers = []
        for n in range(12):
            peer, lines = server.imap("mallory", ATTACKER)
            command(peer, lines, "SELECT INBOX")
            peers.append((peer, lines))
        def one(peer, lines):
            peer.settimeout(None)
            n = 0
            while True:
                n += 1
                command(peer, lines, f'SEARCH BODY "n o w h e r e {n}"')
        threads = [threading.Thread(target=one, args=pair, daemon=True) for pair in peers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return attack


def unread(server):
    fill(server, "mallory", 64)
    def attack():
        peers = []
        for n in range(60):
            peer, lines = server.imap("mallory", f"127.0.8.{n + 1}")
            command(peer, lines, "SELECT INBOX")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.sendall(b"y FETCH 1:* (BODY[])\r\n" * 20)
            peers.append(peer)
        time.sleep(3600)
    return attack


def idlers(server):
    for _ in range(60):
        peer, lines = server.imap("alice", ATTACKER)
        command(peer, lines, "SELECT INBOX")
        peer.sendall(b"z IDLE\r\n")
        KEPT.append(peer)
    return forever(lambda: server.deliver("alice", b"Subject: x\r\n\r\nx", ATTACKER), 2)


KEPT = []


def guesses(server):
    def work():
        with server.connect("imap", ATTACKER, 30) as peer:
            lines = peer.makefile("rb")
            lines.readline()
            for n in range(3):
                peer.sendall(f'x LOGIN alice@example.test "guess {n}"\r\n'.encode())
                if not lines.readline():
                    return
    return forever(work, 60)


def deep(server):
    nested = b""
    for n in range(5000):
        nested += b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n)
    parts = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 200_000
    fields = b"".join(b"X-%d: a\r\n" % n for n in range(200_000)) + b"\r\n"
    recipients = b"To: " + b"a@b.test,\r\n " * 200_000 + b"\r\n\r\n"
    def work():
        for message in (nested, parts, fields, recipients):
            server.deliver("mallory", message, ATTACKER)
        peer, lines = server.imap("mallory", ATTACKER)
        command(peer, lines, "SELECT INBOX")
        command(peer, lines, "FETCH * (ENVELOPE BODYSTRUCTURE)")
        command(peer, lines, "SORT (SUBJECT) UTF-8 ALL")
        peer.close()
    return forever(work, 4)


class Names(threading.Thread):
    """Name servers, and the exchangers they name: silent.test accepts and says nothing, tarpit-N.test sends a reply octet by
    octet, live.test and live-N.test take mail; what is asked of mute-N.test is not answered."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.silent, self.live, self.tarpit = socket.socket(), socket.socket(), socket.socket()
        self.silent.bind(("127.0.0.77", 0))
        self.relay = self.silent.getsockname()[1]
        self.live.bind(("127.0.0.78", self.relay))
        self.tarpit.bind(("127.0.0.79", self.relay))
        # Recipients of what was taken.
        self.taken = set()
        self.silent.listen(1000)
        for listener, talk in [(self.live, self.session), (self.tarpit, self.trickle)]:
            listener.listen(100)
            threading.Thread(target=self.take, args=(listener, talk), daemon=True).start()

    def run(self):
        while True:
            query, peer = self.socket.recvfrom(4096)
            end = 12
            labels = []
            while query[end]:
                labels.append(query[end + 1:end + 1 + query[end]].decode().lower())
                end += 1 + query[end]
            kind = struct.unpack(">H", query[end + 1:end + 3])[0]
            question = query[12:end + 5]
            name = ".".join(labels)
            domain = labels[-2] if len(labels) > 1 else ""
            if domain.startswith("mute"):
                continue
            data = b""
            if kind == 15 and not name.startswith("mx."):
                host = b"".join(bytes([len(part)]) + part.encode() for part in ["mx", *labels]) + b"\0"
                data = struct.pack(">H", 10) + host
            elif kind == 1:
                host = {"live": 78, "tarpit": 79}.get(domain.split("-")[0], 77)
                data = socket.inet_aton(f"127.0.0.{host}")
            answer = b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data if data else b""
            head = query[:2] + struct.pack(">HHHHH", 0x8580, 1, 1 if data else 0, 0, 0)
            self.socket.sendto(head + question + answer, peer)

    def take(self, listener, talk):
        while True:
            peer, _ = listener.accept()
            threading.Thread(target=talk, args=(peer,), daemon=True).start()

    def trickle(self, peer):
        try:
            peer.sendall(b"220 tarpit.test\r\n")
            while True:
                for octet in b"250-slow\r\n":
                    peer.sendall(bytes([octet]))
                    time.sleep(0.2)
        except OSError:
            pass

    def session(self, peer):
        lines = peer.makefile("rb")
        peer.sendall(b"220 live.test\r\n")
        to = ""
        while line := lines.readline():
            verb = line[:4].upper()
            if verb == b"RCPT":
                to = line.decode().partition("<")[2].partition(">")[0]
            if verb == b"DATA":
                peer.sendall(b"354 go\r\n")
                while lines.readline() not in (b".\r\n", b""):
                    pass
                self.taken.add(to)
            peer.sendall(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")


def submit(server, to, many, name="mallory"):
    with server.connect("submission", ATTACKER) as peer:
        lines = peer.makefile("rb")
        plain = base64.b64encode(f"\0{name}@example.test\0{PASSWORD}".encode()).decode()
        peer.sendall(f"EHLO a\r\nAUTH PLAIN {plain}\r\n".encode())
        while not lines.readline().startswith(b"235"):
            pass
        for n in range(many):
            peer.sendall(
                f"MAIL FROM:<{name}@example.test>\r\nRCPT TO:<{to.format(n=n)}>\r\nDATA\r\n"
                f"From: {name}@example.test\r\nSubject: {n}\r\n\r\nx\r\n.\r\n".encode())
            for _ in range(4):
                said = lines.readline()
                assert said[:1] in b"23", said


def relayed(server):
    """A message to a domain that lives is there."""
    to = f"{time.monotonic_ns()}@live.test"
    submit(server, to, 1, "bob")
    while to not in NAMES.taken:
        time.sleep(0.005)


def silence(server):
    submit(server, "x@silent.test", 60)


def tarpits(server):
    for n in range(10):
        submit(server, f"x@tarpit-{n}.test", 5)
        submit(server, f"x@mute-{n}.test", 5)
    submit(server, "x@live-{n}.test", 80)


NAMES = Names()
RELAY = f'[relay]\ndns = ["127.0.0.1:{NAMES.port}"]\nport = {NAMES.relay}\n'

ROWS = [
    ("nobody", "no attack", lambda server: None, ""),
    ("idle-https", "1000 idle connections to HTTPS", idle("https", many=1000), ""),
    ("idle-own", "1000 idle connections to HTTPS, of one's own address", idle("https", many=1000, source="127.0.0.1"), ""),
    ("shaken", "300 idle connections to HTTPS after the handshake", shaken, ""),
    ("silent", "300 connections that never shake hands, each TLS port", idle("https", "imaps"), ""),
    ("idle-mail", "300 idle connections to IMAP, POP3, SMTP, submission", idle("imap", "pop3", "smtp", "submission"), ""),
    ("idle-rest", "300 idle connections to LMTP, HTTP, metrics", idle("lmtp", "http", "metrics"), ""),
    ("idle-many", "640 idle connections to IMAP, SMTP, HTTPS each, of ten addresses", idle_of_many("imap", "smtp", "https"), ""),
    ("few-places", "the same, where there are places for 200", idle_of_many("imap", "smtp", "https"), "connections = 200"),
    ("handshakes", "handshakes without end", handshakes, ""),
    ("slow-heads", "64 requests whose heads come slowly", slow_heads, ""),
    ("slow-bodies", "64 logins that come slowly", slow_bodies, ""),
    ("long-heads", "64 requests with heads without end", long_heads, ""),
    ("login-forms", "24 logins of 48 MiB, unfinished", unfinished("/login", PLAIN, "name="), ""),
    ("strangers", "24 forms of 48 MiB by strangers, unfinished", unfinished("/compose", PARTS, TEXT), ""),
    ("uploads", "24 uploads of 40 MiB by one person, unfinished", unfinished("/compose", PARTS, OWN + FILE, session="mallory"), ""),
    ("garbage", "garbage to every port", garbage, ""),
    ("long-lines", "140 lines and literals without end before login", long_lines, ""),
    ("literals", "40 APPENDs of 40 MB, unfinished", literals, ""),
    ("half-mail", "60 messages by SMTP, unfinished", unfinished_mail, ""),
    ("pipelined", "60 connections that send and do not read", pipelined, ""),
    ("unread", "60 connections that fetch 1.3 GB each and do not read", unread, ""),
    ("searches", f"12 sessions of one person that search {SEARCHED} MiB", searches, "", "[store]\ntext_index = false\n"),
    ("idlers", "60 sessions in IDLE of a mailbox that fills", idlers, ""),
    ("guesses", "60 connections that guess a password", guesses, ""),
    ("deep", "messages of 5000 levels, 200 000 parts, fields, recipients", deep, ""),
    ("silence", "60 messages to a destination that is silent", silence, "", RELAY),
    ("tarpits", "ten tarpits and ten silent name servers among 100 domains", tarpits, "", RELAY),
]


def attacked(server, attack):
    """Prepares the attack, then goes on with it in a process of its own until that is killed."""
    ready, begun = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            KEPT.append(attack(server))
            os.write(begun, b"+")
            if callable(KEPT[-1]):
                KEPT[-1]()
            time.sleep(3600)
        except BaseException as error:
            print(f"the attack failed: {error!r}", file=sys.stderr)
        finally:
            os._exit(1)
    os.close(begun)
    began = os.read(ready, 1)
    os.close(ready)
    assert began == b"+", "the attack did not begin"
    return child


def measured(name, work, server, worst):
    began = time.monotonic()
    try:
        work(server)
        took = time.monotonic() - began
    except (OSError, AssertionError, TypeError) as error:
        print(f"  {name}: {str(error)[:200] or repr(error)}", file=sys.stderr)
        took = float("inf")
    worst[name] = max(worst.get(name, 0), took)


def row(program, name, text, attack, limits, rest=""):
    folder = tempfile.mkdtemp(prefix="hostile-")
    try:
        server = Server(program, folder, limits + "\n" + rest)
        try:
            child, relays = None, RELAY in rest
            if relays:
                # The other servers are threads of this process.
                if not NAMES.is_alive():
                    NAMES.start()
                attack(server)
                time.sleep(1)
            else:
                child = attacked(server, attack)
                time.sleep(0.5)
            worst, began = {}, time.monotonic()
            while time.monotonic() - began < LASTS:
                measured("mail", mail, server, worst)
                measured("page", page, server, worst)
                if relays:
                    measured("relay", relayed, server, worst)
                time.sleep(0.05)
            descriptors, peak = server.descriptors(), server.peak()
            if child:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    others = "".join(f"  {what} {took:.2f} s" for what, took in worst.items() if what not in ("mail", "page"))
    good = peak < MOST_MEMORY and max(worst.values()) < MOST_SECONDS
    mark = "" if good else "  <-- over"
    print(f"{text:<68} {peak:>6.0f} {descriptors:>6} {worst['mail']:>8.2f} {worst['page']:>8.2f}{others}{mark}", flush=True)
    return good


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    program, wanted = sys.argv[1], sys.argv[2:]
    # The attackers' descriptors.
    resource.setrlimit(resource.RLIMIT_NOFILE, (HARD, HARD))
    print(f"{'':<68} {'MiB':>6} {'files':>6} {'mail, s':>8} {'page, s':>8}")
    good = [row(program, *one) for one in ROWS if not wanted or one[0] in wanted]
    sys.exit(0 if good and all(good) else 1)


if __name__ == "__main__":
    main()
