#!/usr/bin/env python3
"""Measures the memory of the server while a gigabyte passes through IMAP: an APPEND of 1 GiB, and FETCHes of as much.

    cargo build --release --bin mailserver
    benches/scripts/imap_memory.py target/release/mailserver

Linux only: reads VmRSS and VmHWM of the server from /proc all along.
"""
import os, re, shutil, socket, subprocess, sys, tempfile, threading, time

MIB = 1024 * 1024
SIZE = 1024 * MIB
PASSWORD = "measured"


class Server:
    def __init__(self, program, folder):
        config = os.path.join(folder, "mailserver.toml")
        with open(config, "w") as file:
            file.write(
                f'hostname = "localhost"\ndata = "{folder}/data"\ndomains = ["example.test"]\n'
                '[listen]\nimap = "127.0.0.1:0"\n[auth]\nplaintext = "always"\n'
                '[limits]\nmessage_size = "2 GiB"\nquota = "10 GiB"\n'
            )
        add = [program, "--config", config, "account", "add", "alice@example.test"]
        subprocess.run(add, input=PASSWORD.encode(), check=True, capture_output=True)
        self.process = subprocess.Popen(
            [program, "--config", config], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        while True:
            found = re.match(r"\s+Imap 127\.0\.0\.1:(\d+)", self.process.stdout.readline())
            if found:
                self.port = int(found[1])
                break
        self.peak, self.done = 0, False
        threading.Thread(target=self.watch, daemon=True).start()

    def resident(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1]) * 1024

    def watch(self):
        while not self.done:
            try:
                self.peak = max(self.peak, self.resident())
            except (OSError, TypeError):
                return
            time.sleep(0.002)


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.file = self.socket.makefile("rb", MIB)
        self.file.readline()
        self.command(f'LOGIN alice@example.test {PASSWORD}')

    def end(self):
        while True:
            line = self.file.readline()
            if not line or line.startswith(b"x "):
                assert line.startswith(b"x OK"), line
                return
            literal = re.search(rb"\{(\d+)\}\r\n$", line)
            left = int(literal[1]) if literal else 0
            while left:
                left -= len(self.file.read(min(left, MIB)))

    def command(self, text):
        self.socket.sendall(b"x " + text.encode() + b"\r\n")
        self.end()

    def append(self, size):
        head = b"Subject: large\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        line = b"QUJD" * 19 + b"\r\n"
        block = line * (MIB // len(line))
        count = (size - len(head)) // len(block)
        self.socket.sendall(b"x APPEND INBOX {%d+}\r\n" % (len(head) + count * len(block)) + head)
        for _ in range(count):
            self.socket.sendall(block)
        self.socket.sendall(b"\r\n")
        self.end()


def main():
    program = os.path.abspath(sys.argv[1])
    folder = tempfile.mkdtemp()
    server = Server(program, folder)
    try:
        client = Client(server.port)
        client.append(MIB)
        client.command("SELECT INBOX")
        client.command("FETCH 1 BODY.PEEK[]")
        time.sleep(0.2)

        def measured(name, work):
            before = server.resident()
            server.peak = before
            begun = time.monotonic()
            work()
            took = time.monotonic() - begun
            print(f"{name}: {took:.1f} s, resident {before / MIB:.1f} MiB, at most {(server.peak - before) / MIB:.1f} MiB more")
            return server.peak - before

        grown = [
            measured("APPEND of 1 GiB", lambda: client.append(SIZE)),
            measured("NOOP", lambda: client.command("NOOP")),
            measured("FETCH BODY[] of 1 GiB", lambda: client.command("FETCH 2 BODY.PEEK[]")),
            measured("FETCH BINARY[] of 1 GiB, decoded", lambda: client.command("FETCH 2 BINARY.PEEK[1]")),
        ]
        for _ in range(64):
            client.append(16 * MIB)
        client.command("NOOP")
        grown.append(measured("FETCH BODY[] of 64 messages of 16 MiB", lambda: client.command("FETCH 3:* BODY.PEEK[]")))
        assert max(grown) < 16 * MIB, "too much"
        print("less than 16 MiB each")
    finally:
        server.done = True
        server.process.terminate()
        server.process.wait()
        shutil.rmtree(folder)


main()
