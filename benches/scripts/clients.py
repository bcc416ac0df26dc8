#!/usr/bin/env python3
"""mailclient and the webmail on a large mailbox, beside mbsync and fetchmail on the same server, in one run.

    cargo build --release --bin mailserver --bin mailclient --bin load
    benches/scripts/clients.py target/release [MESSAGES] [POP MESSAGES]

Needs mbsync (Debian: isync), fetchmail and curl.
"""
import gzip, http.client, os, re, shutil, signal, ssl, statistics, subprocess, sys, tempfile, time, urllib.parse

PASSWORD = "measured"
target = os.path.abspath(sys.argv[1])
messages = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
popped = int(sys.argv[3]) if len(sys.argv) > 3 else 10_000
program = lambda name: os.path.join(target, name)
folder = tempfile.mkdtemp(prefix="hikyaku-clients-")
config = os.path.join(folder, "mailserver.toml")
with open(config, "w") as file:
    file.write(
        f'hostname = "localhost"\ndata = "{folder}/data"\ndomains = ["example.test"]\n'
        '[listen]\nsubmission = "127.0.0.1:0"\nlmtp = "127.0.0.1:0"\nimap = "127.0.0.1:0"\npop3 = "127.0.0.1:0"\n'
        'https = "127.0.0.1:0"\n'
        '[auth]\nplaintext = "always"\n[limits]\nconnections_per_ip = 5000\nquota = "10 GiB"\n'
    )
for name in ("alice", "bob", "carol"):
    add = [program("mailserver"), "--config", config, "account", "add", f"{name}@example.test"]
    subprocess.run(add, input=PASSWORD.encode(), check=True, capture_output=True)
server = subprocess.Popen(
    [program("mailserver"), "--config", config], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
)
ports = {}
while len(ports) < 5:
    found = re.match(r"\s+(\w+) 127\.0\.0\.1:(\d+)", server.stdout.readline())
    if found:
        ports[found[1]] = int(found[2])


def load(name, count):
    line = [program("load"), f"127.0.0.1:{ports['Lmtp']}", f"{name}@example.test", "50", str(count // 50), "600"]
    print(f"{name}: {count} messages, {subprocess.check_output(line, text=True).strip()}", flush=True)


def timed(what, command, **more):
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, **more)
    took = time.monotonic() - began
    said = (done.stdout + done.stderr).strip().splitlines()[-1:]
    print(f"{what}: {took:.2f} s (rc {done.returncode}; {said[0][:70] if said else ''})", flush=True)
    return took


def first_page():
    context = ssl._create_unverified_context()
    peer = http.client.HTTPSConnection("localhost", ports["Https"], context=context)
    form = urllib.parse.urlencode({"name": "bob@example.test", "password": PASSWORD})
    peer.request("POST", "/login", form, {"Content-Type": "application/x-www-form-urlencoded"})
    answer = peer.getresponse()
    answer.read()
    cookie = answer.getheader("Set-Cookie").split(";")[0]
    times = []
    for _ in range(21):
        began = time.monotonic()
        peer.request("GET", "/folder?name=INBOX", headers={"Cookie": cookie, "Accept-Encoding": "gzip"})
        answer = peer.getresponse()
        body = answer.read()
        times.append(time.monotonic() - began)
        assert answer.status == 200 and answer.getheader("Content-Encoding") == "gzip"
    assert b"message number" in gzip.decompress(body)
    print(
        f"webmail, first page of {messages}: first {times[0] * 1000:.1f} ms, median {statistics.median(times) * 1000:.1f} ms, "
        f"{len(body) / 1024:.1f} KiB compressed"
    )


def account(home, kind, name, *more):
    os.makedirs(home)
    incoming = ports["Imap" if kind == "imap" else "Pop3"]
    line = [program("mailclient"), "--home", home, "account", "add", f"{name}@example.test", "--type", kind]
    line += ["--incoming", f"localhost:{incoming}", "--incoming-security", "none"]
    line += ["--outgoing", f"localhost:{ports['Submission']}", "--outgoing-security", "none"]
    line += ["--password-command", f"echo {PASSWORD}", *more]
    subprocess.run(line, check=True, capture_output=True)
    return [program("mailclient"), "--home", home, "sync"]


try:
    load("bob", messages)
    load("alice", popped)
    load("carol", popped)
    first_page()

    headers = account(f"{folder}/headers", "imap", "bob", "--bodies", "headers")
    timed(f"mailclient, list of {messages} by IMAP", headers)
    timed("mailclient, once more, nothing new", headers)
    whole = account(f"{folder}/whole", "imap", "bob")
    ours = timed(f"mailclient, all of {messages} by IMAP", whole)
    os.makedirs(f"{folder}/maildir")
    with open(f"{folder}/mbsyncrc", "w") as file:
        file.write(
            f"IMAPAccount a\nHost localhost\nPort {ports['Imap']}\nUser bob@example.test\nPass {PASSWORD}\n"
            "SSLType None\nAuthMechs PLAIN LOGIN\n\nIMAPStore far\nAccount a\n\n"
            f"MaildirStore near\nPath {folder}/maildir/\nInbox {folder}/maildir/INBOX\n\n"
            "Channel c\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nSyncState *\nSync Pull\n"
        )
    theirs = timed(f"mbsync, all of {messages} by IMAP", ["mbsync", "-q", "-c", f"{folder}/mbsyncrc", "c"])
    print(f"mailclient takes {ours / theirs:.2f} of mbsync's time")
    timed("mbsync, once more, nothing new", ["mbsync", "-q", "-c", f"{folder}/mbsyncrc", "c"])

    ours = timed(f"mailclient, {popped} by POP3, deleted there", account(f"{folder}/pop", "pop", "alice"))
    with open(f"{folder}/fetchmailrc", "w") as file:
        file.write(
            f"poll localhost protocol pop3 port {ports['Pop3']} auth password user carol@example.test password {PASSWORD} "
            f"no sslcertck sslproto '' nokeep fetchall mda \"cat >>{folder}/mbox\"\n"
        )
    os.chmod(f"{folder}/fetchmailrc", 0o600)
    fetchmail = ["fetchmail", "-s", "-f", f"{folder}/fetchmailrc", "--pidfile", f"{folder}/fetchmail.pid"]
    theirs = timed(f"fetchmail, {popped} by POP3, deleted there", fetchmail)
    print(f"mailclient takes {ours / theirs:.2f} of fetchmail's time")
finally:
    server.send_signal(signal.SIGTERM)
    server.wait()
    shutil.rmtree(folder, ignore_errors=True)
