#!/usr/bin/env python3
"""A large mailbox in mailserver and in Debian's Dovecot, side by side in one run.

    cargo build --release --bin mailserver
    benches/scripts/imap_dovecot.py target/release/mailserver 100000

Run it as root, which Dovecot needs. Each question is put to both, one after the other, and again; printed are the
first time, when nothing has been asked yet, and the median of the rest. Dovecot 2.3 keeps its mail as sdbox, with
its own index and cache, and without a full-text plug-in. All messages differ; a third is in Japanese. A second
mailserver, without its text index, is asked what is looked for in bodies.
"""
import base64, os, random, re, shutil, socket, statistics, subprocess, sys, tempfile, time

PASSWORD = "measured"
ROUNDS = 5

WORDS = (
    "meeting minutes project budget travel schedule review draft contract invoice server release patch update question "
    "answer family weekend garden coffee lecture student library journey mountain river summer winter music concert "
    "ticket station platform bridge harbour letter parcel courier relay lantern pottery kettle temple paper window"
).split()
KANJI = ("会議 議事録 予算 旅行 日程 確認 下書き 契約 請求書 発表 更新 質問 回答 家族 週末 庭 珈琲 講義 学生 図書館 "
         "旅 山 川 夏 冬 音楽 切符 駅 橋 港 手紙 小包 飛脚 灯 陶器 薬缶 寺 紙 窓 お茶").split()


def message(n, dice):
    """Another one for each number; a third answers another."""
    japanese = n % 3 == 0
    words = KANJI if japanese else WORDS
    subject = ("" if japanese else " ").join(dice.choices(words, k=5)) + f" {n}"
    parent = dice.randrange(max(n - 200, 1), n) if n > 1 and n % 3 == 1 else None
    head = [
        f"Return-Path: <sender{n % 997}@example.test>",
        f"Received: from mx{n % 7}.example.test by mail.example.test with ESMTPS id {n:08x}; Mon, 1 Jan 2024 00:00:00 +0000",
        "Date: " + time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(1_600_000_000 + dice.randrange(10**8))),
        f"From: \"Sender {n % 997}\" <sender{n % 997}@example.test>",
        "To: alice@example.test",
        f"Message-ID: <{n}.{n % 997}@example.test>",
    ]
    if parent:
        head.append(f"In-Reply-To: <{parent}.{parent % 997}@example.test>")
        head.append(f"References: <{parent}.{parent % 997}@example.test>")
        subject = "Re: " + subject
    encoded = base64.b64encode(subject.encode()).decode()
    head.append(f"Subject: =?utf-8?b?{encoded}?=" if japanese else f"Subject: {subject}")
    lines = [("" if japanese else " ").join(dice.choices(words, k=10)) for _ in range(12)]
    if n % 5000 == 0:
        lines.append("a needle in the hay")
    if n % 5000 == 1500:
        lines.append("干し草の中の針")
    body = "\r\n".join(lines) + "\r\n"
    head.append("MIME-Version: 1.0")
    if japanese and n % 2:
        head.append("Content-Type: text/plain; charset=iso-2022-jp")
        octets = body.encode("iso-2022-jp")
    elif japanese:
        head += ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64"]
        octets = base64.encodebytes(body.encode()).replace(b"\n", b"\r\n")
    else:
        head.append("Content-Type: text/plain; charset=us-ascii")
        octets = body.encode()
    return "\r\n".join(head).encode() + b"\r\n\r\n" + octets


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.file = self.socket.makefile("rb", 1 << 20)
        self.file.readline()
        self.ask(f"LOGIN alice@example.test {PASSWORD}")

    def end(self):
        said = []
        while True:
            line = self.file.readline()
            assert line, "closed"
            if line.startswith(b"x "):
                assert line.startswith(b"x OK"), line
                return said
            said.append(line)

    def ask(self, command, literal=None):
        # In one piece: a second one would wait for the first one's acknowledgement.
        line = b"x " + command.encode()
        if literal is not None:
            line += b" {%d+}\r\n" % len(literal) + literal
        self.socket.sendall(line + b"\r\n")
        return self.end()

    def append(self, messages):
        pieces = [b"x APPEND INBOX"]
        for one in messages:
            pieces.append(b" {%d+}\r\n" % len(one) + one)
        self.socket.sendall(b"".join(pieces) + b"\r\n")
        self.end()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def hikyaku(program, folder, index=True):
    config = os.path.join(folder, "mailserver.toml")
    port = free_port()
    with open(config, "w") as file:
        file.write(
            f'hostname = "localhost"\ndata = "{folder}/data"\ndomains = ["example.test"]\n'
            f'[listen]\nimap = "127.0.0.1:{port}"\n[auth]\nplaintext = "always"\n[limits]\nquota = "100 GiB"\n'
            f"[store]\ntext_index = {str(index).lower()}\n"
        )
    add = [program, "--config", config, "account", "add", "alice@example.test"]
    subprocess.run(add, input=PASSWORD.encode(), check=True, capture_output=True)
    process = subprocess.Popen([program, "--config", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return process, port


def dovecot(folder):
    for name in ("run", "mail"):
        os.mkdir(os.path.join(folder, name))
    os.chmod(folder, 0o755)
    os.chmod(os.path.join(folder, "mail"), 0o777)
    port = free_port()
    config = os.path.join(folder, "dovecot.conf")
    with open(config, "w") as file:
        file.write(
            f"base_dir = {folder}/run\nstate_dir = {folder}/run\nlog_path = {folder}/dovecot.log\nprotocols = imap\n"
            "listen = 127.0.0.1\nssl = no\ndisable_plaintext_auth = no\nauth_mechanisms = plain login\n"
            f"mail_location = sdbox:{folder}/mail/%n\nfirst_valid_uid = 1\n"
            "default_internal_user = nobody\ndefault_login_user = nobody\ndefault_internal_group = nogroup\n"
            "default_vsz_limit = 2G\n"
            "service anvil {\n  chroot =\n}\n"
            f"service imap-login {{\n  chroot =\n  inet_listener imap {{\n    port = {port}\n  }}\n"
            "  inet_listener imaps {\n    port = 0\n  }\n}\n"
            f"passdb {{\n  driver = static\n  args = password={PASSWORD}\n}}\n"
            f"userdb {{\n  driver = static\n  args = uid=nobody gid=nogroup home={folder}/mail/%n\n}}\n"
        )
    process = subprocess.Popen(["dovecot", "-F", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return process, port


def connect(port):
    for _ in range(100):
        try:
            return Client(port)
        except (OSError, AssertionError):
            time.sleep(0.1)
    raise SystemExit("no server")


QUESTIONS = [
    ("SELECT and FETCH 1:* FLAGS", "FETCH 1:* FLAGS", None),
    ("FETCH 1:* ENVELOPE", "FETCH 1:* ENVELOPE", None),
    ("SEARCH SUBJECT", "SEARCH SUBJECT lantern", None),
    ("SEARCH SUBJECT, Japanese", "SEARCH CHARSET UTF-8 SUBJECT", "飛脚".encode()),
    ("SEARCH FROM", "SEARCH FROM sender42@", None),
    ("SEARCH HEADER Received", "SEARCH HEADER Received mx3", None),
    ("SEARCH BODY", "SEARCH BODY needle", None),
    ("SEARCH BODY, Japanese", "SEARCH CHARSET UTF-8 BODY", "干し草".encode()),
    ("SEARCH BODY, nowhere", "SEARCH BODY zeppelin", None),
    ("SEARCH BODY, one character", "SEARCH CHARSET UTF-8 BODY", "針".encode()),
    ("SEARCH TEXT, in many", "SEARCH TEXT harbour", None),
    ("SORT (DATE)", "SORT (DATE) UTF-8 ALL", None),
    ("SORT (SUBJECT)", "SORT (SUBJECT) UTF-8 ALL", None),
    ("THREAD REFERENCES", "THREAD REFERENCES UTF-8 ALL", None),
]


def main():
    program, count = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    chosen = sys.argv[3:]
    folders = [tempfile.mkdtemp() for _ in range(3)]
    servers = [hikyaku(program, folders[0]), dovecot(folders[1]), hikyaku(program, folders[2], False)]
    try:
        dice = random.Random(1)
        took, size = [0.0] * 3, 0
        clients = [connect(port) for _, port in servers]
        for start in range(1, count + 1, 100):
            batch = [message(n, dice) for n in range(start, min(start + 100, count + 1))]
            size += sum(map(len, batch))
            for at, client in enumerate(clients):
                begun = time.monotonic()
                client.append(batch)
                took[at] += time.monotonic() - begun
        print(f"{count} messages, {size / 2**20:.0f} MiB; MULTIAPPEND of 100: {took[0]:.1f} s, Dovecot {took[1]:.1f} s\n")
        print("| question | first: mailserver | Dovecot | then: mailserver | without index | Dovecot | ratio |\n|---|---|---|---|---|---|---|")
        for name, command, literal in QUESTIONS:
            if chosen and not any(one in name for one in chosen):
                continue
            times, answers = [[], [], []], [None] * 3
            in_bodies = "BODY" in name or "TEXT" in name
            for _ in range(ROUNDS):
                for at, (_, port) in enumerate(servers):
                    if at == 2 and not in_bodies:
                        continue
                    client = connect(port)
                    if not name.startswith("SELECT"):
                        client.ask("SELECT INBOX")
                    begun = time.monotonic()
                    if name.startswith("SELECT"):
                        client.ask("SELECT INBOX")
                    said = client.ask(command, literal)
                    times[at].append(time.monotonic() - begun)
                    said = [line for line in said if line.startswith((b"* SEARCH", b"* SORT"))]
                    if answers[at] is None:
                        answers[at] = said
                    client.socket.close()
            if any(answer is not None and answer != answers[0] for answer in answers):
                counts = [len(b"".join(answer).split()) for answer in answers if answer is not None]
                print(f"(answers differ: {counts})")
            ours, theirs, plain = (statistics.median(one[1:]) if one else None for one in times)
            cells = [times[0][0], times[1][0], ours, plain, theirs]
            cells = [f"{cell * 1e3:.0f} ms" if cell else "" for cell in cells]
            print(f"| {name} | " + " | ".join(cells) + f" | {ours / theirs:.2f} |", flush=True)
        texts = os.path.join(folders[0], "data/store/text")
        size = sum(os.path.getsize(os.path.join(texts, name)) for name in os.listdir(texts))
        print(f"\nthe text index: {size / 2**20:.0f} MiB")
    finally:
        for process, _ in servers:
            process.terminate()
            process.wait()
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


main()
