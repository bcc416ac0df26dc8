#!/usr/bin/env python3
"""Attacks a running mailserver, with an honest user beside each attack: what the attackers get, and what the user notices.

    cargo build --release --bin mailserver
    benches/scripts/manners.py target/release [SECONDS]

Linux only: the attackers are at 127.0.1.x, the honest user is at 127.0.2.1, and the limits hold for loopback, too. Each attack
runs with the limits as they are by default, and again without any.
"""
import base64, os, re, signal, socket, statistics, subprocess, sys, tempfile, threading, time

PASSWORD = "measured by nobody"
HONEST = "127.0.2.1"
PORTS = ("Smtp", "Submission", "Imap", "Pop3")
OFF = (
    "connections_per_minute = 0\nmessages_per_minute = 0\nrecipients_per_minute = 0\nunknown_recipients_per_hour = 0\n"
    "[limits.account]\nmessages_per_hour = 0\nrecipients_per_hour = 0\nrecipients_per_day = 0\nsudden_recipients = 0\n"
)
ACCOUNTS = ("alice", "bob", "carol", "victim")


class Refused(Exception):
    """The server has closed the connection, or has none free."""


class Server:
    def __init__(self, target, folder, limits):
        exempt = '"127.0.0.0/8"' if limits else ""
        program = f"{target}/mailserver"
        self.config = f"{folder}/mailserver.toml"
        listen = "".join(f'{name.lower()} = "127.0.0.1:0"\n' for name in PORTS)
        with open(self.config, "w") as file:
            file.write(
                f'hostname = "localhost"\ndata = "{folder}/data"\ndomains = ["example.test"]\n'
                f'[auth]\nplaintext = "always"\nexempt = [{exempt}]\n[listen]\n{listen}[limits]\nexempt = []\nquota = "10 GiB"\n{limits}'
            )
        for name in ACCOUNTS:
            add = [program, "--config", self.config, "account", "add", f"{name}@example.test"]
            subprocess.run(add, input=PASSWORD.encode(), check=True, capture_output=True)
        quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([program, "--config", self.config], text=True, **quiet)
        self.ports = {}
        while len(self.ports) < len(PORTS):
            found = re.match(r"\s+(\w+) 127\.0\.0\.1:(\d+)", self.process.stdout.readline())
            if found:
                self.ports[found[1]] = int(found[2])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


class Talk:
    """A connection from an address, greeted."""

    def __init__(self, server, service, source):
        self.peer = socket.socket()
        self.peer.settimeout(60)
        self.peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.peer.bind((source, 0))
            self.peer.connect(("127.0.0.1", server.ports[service]))
            self.lines = self.peer.makefile("rb")
            if not self.line().startswith((b"220", b"+OK", b"* OK")):
                raise Refused
        except OSError:
            raise Refused from None

    def line(self):
        line = self.lines.readline()
        if not line:
            raise Refused
        return line

    def ask(self, command):
        """Sends a command of SMTP or POP3; the last line of its reply."""
        try:
            self.peer.sendall(command.encode() + b"\r\n")
            while (line := self.line())[3:4] == b"-":
                pass
            return line
        except OSError:
            raise Refused from None

    def imap(self, command):
        try:
            self.peer.sendall(b"x " + command.encode() + b"\r\n")
            while (line := self.line())[:2] != b"x ":
                pass
            return line
        except OSError:
            raise Refused from None

    def close(self):
        self.peer.close()


def plain(name, password=PASSWORD):
    return "AUTH PLAIN " + base64.b64encode(f"\0{name}@example.test\0{password}".encode()).decode()


def send(talk, sender, recipients):
    """Sends a message: for how many it was accepted."""
    if not talk.ask(f"MAIL FROM:<{sender}>").startswith(b"250"):
        return 0
    taken = sum(talk.ask(f"RCPT TO:<{one}>").startswith(b"250") for one in recipients)
    if not taken:
        talk.ask("RSET")
        return 0
    talk.ask("DATA")
    return taken if talk.ask("Subject: x\r\n\r\nHello.\r\n.").startswith(b"250") else 0


def receive(server):
    talk = Talk(server, "Smtp", HONEST)
    talk.ask("EHLO mail.elsewhere.test")
    done = send(talk, "friend@elsewhere.test", ["alice@example.test"])
    talk.close()
    return done == 1


def submit(server):
    talk = Talk(server, "Submission", HONEST)
    talk.ask("EHLO laptop")
    done = talk.ask(plain("alice")).startswith(b"235") and send(talk, "alice@example.test", ["carol@example.test"]) == 1
    talk.close()
    return done


def read(server):
    talk = Talk(server, "Imap", HONEST)
    done = talk.imap(f'LOGIN alice@example.test "{PASSWORD}"').startswith(b"x OK")
    done = done and talk.imap("SELECT INBOX").startswith(b"x OK")
    done = done and talk.imap("FETCH * BODY.PEEK[]").startswith(b"x OK")
    talk.close()
    return done


ACTIONS = {"receives": receive, "submits": submit, "logs in, reads": read}


def honest(server, seconds):
    """Does everything once a second: how long each took, and what failed."""
    took, failed = {name: [] for name in ACTIONS}, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        round_began = time.monotonic()
        for name, action in ACTIONS.items():
            began = time.monotonic()
            try:
                done = action(server)
            except Refused:
                done = False
            failed += not done
            took[name].append(1000 * (time.monotonic() - began))
        time.sleep(max(0, 1 - (time.monotonic() - round_began)))
    return took, failed


class Counts(dict):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()

    def add(self, what, count=1):
        with self.lock:
            self[what] = self.get(what, 0) + count


def flood(server, number, counts, end):
    source = f"127.0.1.{1 + number % 20}"
    while time.monotonic() < end():
        counts.add("connections tried")
        try:
            talk = Talk(server, "Smtp", source)
            counts.add("connections accepted")
            talk.ask("EHLO mail.flood.test")
            for _ in range(20):
                if time.monotonic() >= end():
                    break
                counts.add("messages tried")
                counts.add("messages accepted", send(talk, "x@flood.test", ["bob@example.test"]))
            talk.close()
        except Refused:
            time.sleep(0.02)


def guess(server, number, counts, end):
    source, nth = f"127.0.1.{1 + number % 30}", 0
    while time.monotonic() < end():
        nth += 1
        # One account that there is, and a list of names.
        name = "alice" if (number + nth) % 4 == 0 else f"name{number}x{nth}"
        try:
            talk = Talk(server, ("Imap", "Pop3", "Submission")[number % 3], source)
            if number % 3 == 0:
                said = talk.imap(f"LOGIN {name}@example.test guess{nth}")
            elif number % 3 == 1:
                said = talk.ask(plain(name, f"guess{nth}"))
            else:
                talk.ask("EHLO a")
                said = talk.ask(plain(name, f"guess{nth}"))
            is_wrong = any(one in said for one in (b"AUTHENTICATIONFAILED", b"[AUTH]", b"535 "))
            counts.add("guesses looked at" if is_wrong else "guesses turned away")
            if is_wrong and name == "alice":
                counts.add("guesses at alice's password looked at")
            talk.close()
        except Refused:
            counts.add("connections refused")
            time.sleep(0.05)


def steal(server, number, counts, end):
    talk = Talk(server, "Submission", f"127.0.1.{1 + number}")
    talk.ask("EHLO a")
    talk.ask(plain("victim"))
    recipients = [f"carol+{one}@example.test" for one in range(10)]
    while time.monotonic() < end():
        counts.add("recipients tried", 10)
        counts.add("recipients accepted", send(talk, "victim@example.test", recipients))


def scan(server, number, counts, end):
    source, nth = f"127.0.1.{1 + number % 8}", 0
    while time.monotonic() < end():
        try:
            talk = Talk(server, "Smtp", source)
            talk.ask("EHLO mail.scanner.test")
            if not talk.ask("MAIL FROM:<x@scanner.test>").startswith(b"250"):
                counts.add("messages deferred")
            for _ in range(50):
                if time.monotonic() >= end():
                    break
                nth += 1
                counts.add("names tried")
                name = "alice" if nth % 25 == 0 else f"name{number}x{nth}"
                said = talk.ask(f"RCPT TO:<{name}@example.test>")
                if said.startswith((b"550", b"250")):
                    counts.add("names learned about")
            talk.close()
        except Refused:
            time.sleep(0.05)


ATTACKS = {
    "a flood": (flood, 40),
    "a guesser": (guess, 60),
    "a stolen account": (steal, 4),
    "a scanner of names": (scan, 16),
}


def attacked(server, attack, threads, seconds):
    """What the attackers got, and what the honest user noticed."""
    counts, until = Counts(), [time.monotonic() + seconds]
    all_of_them = [
        threading.Thread(target=attack, args=(server, number, counts, lambda: until[0]), daemon=True)
        for number in range(threads)
    ]
    for thread in all_of_them:
        thread.start()
    noticed = honest(server, seconds)
    for thread in all_of_them:
        thread.join(90)
    return counts, noticed


def row(what, noticed):
    took, failed = noticed
    times = "  ".join(
        f"{name} {statistics.median(all_of_it):5.1f} / {max(all_of_it):6.1f} ms" for name, all_of_it in took.items()
    )
    actions = sum(map(len, took.values()))
    print(f"{what:42} {failed} of {actions} failed   {times}", flush=True)


def main():
    target, seconds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 30
    print(f"the honest user, once a second for {seconds} s: failures, and median / longest time of each action")
    for limits, named in (("", "limits as by default"), (OFF, "limits off")):
        with tempfile.TemporaryDirectory() as folder:
            server = Server(target, folder, limits)
            honest(server, 2)
            row(f"{named}, no attack", honest(server, seconds))
            server.stop()
        for name, (attack, threads) in ATTACKS.items():
            # A server of its own for each: what one attack has used up is not the next one's.
            with tempfile.TemporaryDirectory() as folder:
                server = Server(target, folder, limits)
                honest(server, 2)
                counts, noticed = attacked(server, attack, threads, seconds)
                row(f"{named}, {name}", noticed)
                print("    " + ", ".join(f"{count} {what}" for what, count in sorted(counts.items())), flush=True)
                server.stop()


main()
