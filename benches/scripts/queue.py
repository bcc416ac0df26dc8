#!/usr/bin/env python3
"""A long queue for many domains, half of them dead or hanging, in mailserver.

    cargo build --release --bin mailserver --bin fill
    benches/scripts/queue.py target/release [MESSAGES] [DOMAINS]

Linux only. The odd domains are live, the even ones refuse connections, end them at once, never answer, answer octet by octet,
or have a DNS that is silent. The server is started with the queue filled, killed in the middle and started again. It fails
when a live domain waits longer than 30 s for its first message, the server takes more than 256 MiB, or nothing arrives within
10 s of the second start.
"""
import asyncio, os, re, shutil, signal, socket, struct, subprocess, sys, tempfile, threading, time

MESSAGES = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
DOMAINS = int(sys.argv[3]) if len(sys.argv) > 3 else 1_000
KINDS = ["refuses", "ends", "silent", "octets", "mute"]
# How long the second server has for all that is left.
PATIENCE = float(os.environ.get("PATIENCE", 600))
target = os.path.abspath(sys.argv[1])


def kind(domain):
    return "live" if domain % 2 else KINDS[domain // 2 % len(KINDS)]


def address(domain):
    return f"127.1.{domain // 250}.{domain % 250 + 1}"


class Dns(asyncio.DatagramProtocol):
    """MX and A of the domains; nothing at all of those that are mute."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, query, peer):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        question = query[12 : at + 5]
        sort = struct.unpack(">H", query[at + 1 : at + 3])[0]
        found = re.fullmatch(r"(mx\.)?d(\d+)\.test", ".".join(labels))
        if found and kind(int(found[2])) == "mute":
            return
        answer = b""
        if found and sort == 15 and not found[1]:
            answer = b"\0\x0a\x02mx\xc0\x0c"
        elif found and sort == 1 and found[1]:
            answer = socket.inet_aton(address(int(found[2])))
        flags = 0x8180 if found else 0x8183
        head = query[:2] + struct.pack(">HHHHH", flags, 1, 1 if answer else 0, 0, 0)
        record = b"\xc0\x0c" + struct.pack(">HHIH", sort, 1, 3600, len(answer)) + answer if answer else b""
        self.transport.sendto(head + question + record, peer)


class World:
    """All exchangers, in a process of their own; what they have is written to a pipe, a domain each line."""

    def __init__(self):
        self.first, self.count, self.last = {}, 0, 0.0
        reader, writer = os.pipe()
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reader)
            try:
                asyncio.run(self.begin(writer))
            finally:
                os._exit(0)
        os.close(writer)
        self.lines = os.fdopen(reader)
        self.dns = self.lines.readline().strip()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.lines:
            self.last = time.monotonic()
            self.count += 1
            self.first.setdefault(int(line), self.last)

    async def begin(self, pipe):
        loop = asyncio.get_running_loop()
        dns, _ = await loop.create_datagram_endpoint(Dns, local_addr=("127.0.0.1", 0))
        for domain in range(DOMAINS):
            if kind(domain) not in ("refuses", "mute"):
                serve = getattr(self, kind(domain))
                meet = lambda reader, writer, domain=domain, serve=serve: serve(domain, pipe, reader, writer)
                await asyncio.start_server(meet, address(domain), self.port, backlog=512)
        os.write(pipe, "{}:{}\n".format(*dns.get_extra_info("sockname")).encode())
        await asyncio.sleep(3600)

    async def ends(self, domain, pipe, reader, writer):
        writer.close()

    async def silent(self, domain, pipe, reader, writer):
        await reader.read()
        writer.close()

    async def octets(self, domain, pipe, reader, writer):
        try:
            for octet in b"220-" + b"wait " * 50:
                if reader.at_eof() or writer.is_closing():
                    break
                writer.write(bytes([octet]))
                await asyncio.sleep(5)
        except OSError:
            pass
        writer.close()

    async def taken(self, domain, pipe, reader, writer):
        writer.write(b"220 live.test\r\n")
        while line := await reader.readline():
            word = line[:4].upper()
            if word == b"EHLO":
                writer.write(b"250-live.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
            elif word == b"DATA":
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                os.write(pipe, b"%d\n" % domain)
                writer.write(b"250 2.0.0 taken\r\n")
            elif word == b"QUIT":
                writer.write(b"221 2.0.0 bye\r\n")
                break
            else:
                writer.write(b"250 2.0.0 fine\r\n")
        writer.close()

    async def live(self, domain, pipe, reader, writer):
        try:
            await self.taken(domain, pipe, reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.close()

    def stop(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


class Server:
    def __init__(self, folder, world):
        config = f"{folder}/mailserver.toml"
        with open(config, "w") as file:
            file.write(
                f'hostname = "localhost"\ndata = "{folder}/data"\ndomains = ["example.test"]\n[listen]\nlmtp = "127.0.0.1:0"\n'
                f'[relay]\ndns = ["{world.dns}"]\nport = {world.port}\n'
            )
        self.config = config

    def start(self):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([f"{target}/mailserver", "--config", self.config], **quiet)
        self.began = time.monotonic()

    def peak(self):
        """The most that was ever resident, in MiB."""
        text = open(f"/proc/{self.process.pid}/status").read()
        return int(re.search(r"VmHWM:\s+(\d+)", text)[1]) / 1024

    def kill(self):
        self.process.kill()
        self.process.wait()


def main():
    folder = tempfile.mkdtemp(prefix="hikyaku-queue-")
    world = World()
    server = Server(folder, world)
    os.makedirs(f"{folder}/data", exist_ok=True)
    good = True
    try:
        # The server makes its own folders.
        server.start()
        time.sleep(2)
        server.process.terminate()
        server.process.wait()
        subprocess.run([f"{target}/fill", f"{folder}/data", str(DOMAINS), str(MESSAGES)], check=True)
        live = [domain for domain in range(DOMAINS) if kind(domain) == "live"]
        server.start()
        while len(world.first) < len(live) and time.monotonic() - server.began < 300:
            time.sleep(0.1)
        waits = sorted(world.first.get(domain, float("inf")) - server.began for domain in live)
        print(f"the first message is at each of {len(live)} live domains after {waits[-1]:.1f} s (median {waits[len(waits) // 2]:.1f} s)")
        good &= waits[-1] <= 30
        half = MESSAGES // 4
        while world.count < half and time.monotonic() - server.began < 300:
            time.sleep(0.1)
        peak = server.peak()
        print(f"{world.count} messages after {time.monotonic() - server.began:.1f} s, at most {peak:.0f} MiB")
        before = world.count
        server.kill()
        time.sleep(2)
        before = world.count
        server.start()
        while world.count == before and time.monotonic() - server.began < 60:
            time.sleep(0.01)
        resumed = world.last - server.began if world.count > before else float("inf")
        print(f"killed, and started again: the next message arrives after {resumed:.1f} s")
        good &= resumed <= 10
        due = MESSAGES // DOMAINS * len(live)
        while world.count < due and time.monotonic() - server.began < PATIENCE:
            time.sleep(0.1)
        took = time.monotonic() - server.began
        peak = max(peak, server.peak())
        print(f"all {due} messages of live domains after {took:.1f} s more ({(due - before) / took:.0f} a second), {world.count - due} twice, at most {peak:.0f} MiB")
        good &= world.count >= due and peak <= 256
    finally:
        server.kill()
        world.stop()
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
