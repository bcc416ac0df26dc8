#!/usr/bin/env python3
"""mailserver's relay beside Debian's Postfix: both hand the same messages on to Postfix's smtp-sink, in turn, in one run.

    cargo build --release --bin mailserver --bin load
    benches/scripts/relay_beside.py target/release [MESSAGES]

Run it as root, which Postfix needs. Twenty connections bring messages of 2 KB, and at most twenty go to the sink. What is
measured is the time from the first message brought until the sink has the last one; ROUNDS times, in turns, and the medians
are compared. DOMAINS is how many domains the recipients are of (1). Messages that the sink has not, or twice, end the run.
"""
import os, re, shutil, statistics, subprocess, sys, tempfile, time

import beside
from beside import PASSWORD, Hikyaku, Postfix, free_port, wait_for

ROUNDS = int(os.environ.get("ROUNDS", 3))
MESSAGES = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
CONNECTIONS = 20


class Relaying(Hikyaku):
    def __init__(self, folder, sink):
        self.more = (
            "[senders]\nown_only = false\n[relay]\nconnections_per_destination = 20\n"
            f'[[relay.routes]]\ndomains = ["*"]\nhosts = ["smtp+clear://127.0.0.1:{sink}"]\n'
        )
        super().__init__(folder)
        self.inlet, self.login = self.submission, f"user1@example.test {PASSWORD}"


class RelayingPostfix(Postfix):
    def __init__(self, folder, sink):
        self.more = f"relayhost = [127.0.0.1]:{sink}\nrelay_domains = *\ndefault_destination_concurrency_limit = 20\n"
        super().__init__(folder)
        self.inlet, self.login = self.smtp, ""


class Sink:
    """Postfix's smtp-sink, which keeps the first lines of each message in a folder of its own."""

    def __init__(self):
        self.port = free_port()
        self.said = tempfile.TemporaryFile()
        line = ["smtp-sink", "-c", "-u", "root", f"127.0.0.1:{self.port}", "1000"]
        self.process = subprocess.Popen(line, stdout=self.said, stderr=subprocess.DEVNULL)
        wait_for(self.port)

    def count(self):
        """How many messages it has taken."""
        size = self.said.seek(0, os.SEEK_END)
        self.said.seek(max(size - 4096, 0))
        found = re.findall(rb"mesg=(\d+)", self.said.read())
        return int(found[-1]) if found else 0

    def stop(self):
        self.process.terminate()
        self.process.wait()


def once(kind):
    sink, folder = Sink(), tempfile.mkdtemp(prefix="hikyaku-relay-")
    server = kind(folder, sink.port)
    try:
        domains = os.environ.get("DOMAINS", "1")
        environment = dict(os.environ, DOMAINS=domains)
        if server.login:
            environment["LOGIN"] = server.login
        recipient = "friend@d%.elsewhere.test"
        each = str(MESSAGES // CONNECTIONS)
        line = [f"{beside.target}/load", f"smtp:127.0.0.1:{server.inlet}", recipient, str(CONNECTIONS), each, "2000"]
        began = time.monotonic()
        load = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=600)
        if load.returncode:
            raise SystemExit(f"{server.name}: {load.stderr}")
        brought = time.monotonic() - began
        while sink.count() < MESSAGES:
            if time.monotonic() - began > 600:
                raise SystemExit(f"{server.name}: the sink has {sink.count()} of {MESSAGES}")
            time.sleep(0.02)
        took = time.monotonic() - began
        time.sleep(1)
        if sink.count() != MESSAGES:
            raise SystemExit(f"{server.name}: the sink has {sink.count()} of {MESSAGES}")
        return MESSAGES / took, MESSAGES / brought
    finally:
        server.stop()
        sink.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    results = {kind: [] for kind in (Relaying, RelayingPostfix)}
    for _ in range(ROUNDS):
        for kind, all in results.items():
            all.append(once(kind))
            print(kind.name, "relayed {:.0f} a second, taken {:.0f} a second".format(*all[-1]), flush=True)
    ours, theirs = [statistics.median(rate for rate, _ in all) for all in results.values()]
    print(f"mailserver {ours:.0f}, Postfix {theirs:.0f} messages a second: {ours / theirs:.2f}")
    sys.exit(0 if ours >= 2 * theirs else 1)


if __name__ == "__main__":
    main()
