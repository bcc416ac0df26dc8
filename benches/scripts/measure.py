#!/usr/bin/env python3
"""Measures a running mailserver: memory under load, idle connections, flushes for each delivery.

    cargo build --release --bin mailserver --bin load
    benches/scripts/measure.py target/release/mailserver target/release/load

Linux only. Flushes are counted with strace if it is installed, and left out otherwise.
"""
import base64, os, re, resource, shutil, signal, socket, subprocess, sys, tempfile, threading, time

PASSWORD = "measured"
MIB = 1024 * 1024


class Server:
    def __init__(self, program, folder, trace=None):
        self.config = os.path.join(folder, "mailserver.toml")
        with open(self.config, "w") as file:
            file.write(
                f'hostname = "localhost"\ndata = "{folder}/data"\ndomains = ["example.test"]\n'
                '[listen]\nsubmission = "127.0.0.1:0"\nlmtp = "127.0.0.1:0"\nimap = "127.0.0.1:0"\n'
                '[auth]\nplaintext = "always"\n[limits]\nconnections_per_ip = 5000\nquota = "10 GiB"\n'
            )
        for name in ("alice", "bob"):
            add = [program, "--config", self.config, "account", "add", f"{name}@example.test"]
            subprocess.run(add, input=PASSWORD.encode(), check=False, capture_output=True)
        command = [program, "--config", self.config]
        if trace:
            command = ["strace", "-f", "-e", "trace=fsync,fdatasync", "-o", trace] + command
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.ports = {}
        while len(self.ports) < 3:
            found = re.match(r"\s+(\w+) 127\.0\.0\.1:(\d+)", self.process.stdout.readline())
            if found:
                self.ports[found[1]] = int(found[2])
        self.pid = self.process.pid
        if trace:
            children = f"/proc/{self.pid}/task/{self.pid}/children"
            self.pid = int(open(children).read().split()[0])

    def resident(self):
        text = open(f"/proc/{self.pid}/status").read()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) * 1024

    def connect(self, service):
        peer = socket.create_connection(("127.0.0.1", self.ports[service]))
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return peer, peer.makefile("rb")

    def imap(self):
        peer, lines = self.connect("Imap")
        lines.readline()
        peer.sendall(f"a LOGIN bob@example.test {PASSWORD}\r\n".encode())
        assert b"a OK" in lines.readline()
        return peer, lines

    def stop(self):
        os.kill(self.pid, signal.SIGTERM)
        self.process.wait()


class Peak:
    """The most that was resident while it ran."""

    def __init__(self, server):
        self.server, self.before, self.most, self.on = server, server.resident(), 0, True
        self.thread = threading.Thread(target=self.look)
        self.thread.start()

    def look(self):
        while self.on:
            self.most = max(self.most, self.server.resident())
            time.sleep(0.005)

    def growth(self):
        self.on = False
        self.thread.join()
        return (self.most - self.before) / MIB


def submit(server, message):
    peer, lines = server.connect("Submission")
    plain = base64.b64encode(f"\0alice@example.test\0{PASSWORD}".encode()).decode()
    lines.readline()
    peer.sendall(b"EHLO a\r\n")
    while lines.readline()[3:4] == b"-":
        pass
    answer = b"454"
    # Only so many passwords of an account are looked at at once.
    while answer.startswith(b"454"):
        peer.sendall(f"AUTH PLAIN {plain}\r\n".encode())
        answer = lines.readline()
    assert answer.startswith(b"235"), answer
    peer.sendall(b"MAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n")
    answers = [lines.readline() for _ in range(3)]
    assert answers[2].startswith(b"354"), answers
    peer.sendall(message)
    answer = lines.readline()
    assert answer.startswith(b"250"), answer
    peer.close()


def memory(server):
    # Warm: one of everything, so that what is kept for good is there already.
    submit(server, b"Subject: x\r\n\r\nx\r\n.\r\n")
    message = b"Subject: big\r\n\r\n" + (b"x" * 76 + b"\r\n") * (25 * MIB // 78) + b".\r\n"
    peak = Peak(server)
    threads = [threading.Thread(target=submit, args=(server, message)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"20 messages of 25 MiB at once: resident memory grows by {peak.growth():.1f} MiB")
    peer, lines = server.imap()
    peak = Peak(server)
    peer.sendall(b"b APPEND INBOX {1073741824}\r\n")
    assert b"b NO [TOOBIG]" in lines.readline()
    peer.sendall(b"c APPEND INBOX {1073741824+}\r\n")
    for _ in range(1024):
        peer.sendall(b"y" * MIB)
    peer.sendall(b"\r\nd NOOP\r\n")
    assert b"c NO [TOOBIG]" in lines.readline() and b"d OK" in lines.readline()
    print(f"a literal of 1 GiB refused, its octets sent all the same: {peak.growth():.1f} MiB")


def idle(server, count=1000):
    before, peers = server.resident(), []
    for _ in range(count):
        peer, lines = server.imap()
        peer.sendall(b"b SELECT INBOX\r\nc IDLE\r\n")
        while not lines.readline().startswith(b"+"):
            pass
        peers.append((peer, lines))
    time.sleep(1)
    each = (server.resident() - before) / count / 1024
    print(f"{count} connections in IDLE: {each:.1f} KiB each")
    for peer, lines in peers:
        lines.close()
        peer.close()


def flushes(program, load, at_once, each):
    with tempfile.TemporaryDirectory() as folder:
        trace = os.path.join(folder, "trace")
        server = Server(program, folder, trace)
        count = lambda: len(re.findall(r"(?:fsync|fdatasync)\(", open(trace).read()))
        time.sleep(0.5)
        before = count()
        address = f"127.0.0.1:{server.ports['Lmtp']}"
        subprocess.run([load, address, "bob@example.test", str(at_once), str(each)], check=True, stdout=subprocess.DEVNULL)
        time.sleep(0.5)
        deliveries, total = at_once * each, count() - before
        server.stop()
        print(f"{deliveries} deliveries, {at_once} at once: {total} flushes, {total / deliveries:.3f} each")


def rate(program, load, at_once, each):
    with tempfile.TemporaryDirectory() as folder:
        server = Server(program, folder)
        address = f"127.0.0.1:{server.ports['Lmtp']}"
        said = subprocess.run([load, address, "bob@example.test", str(at_once), str(each)], check=True, capture_output=True, text=True)
        server.stop()
        print(f"{at_once} at once: {said.stdout.strip()}")


def main():
    program, load = (os.path.abspath(path) for path in sys.argv[1:3])
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with tempfile.TemporaryDirectory() as folder:
        server = Server(program, folder)
        idle(server)
        memory(server)
        server.stop()
    rate(program, load, 1, 500)
    rate(program, load, 64, 100)
    if shutil.which("strace"):
        flushes(program, load, 1, 200)
        flushes(program, load, 64, 100)
    else:
        print("strace is not installed: flushes are not counted")


main()
