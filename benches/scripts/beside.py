#!/usr/bin/env python3
"""mailserver beside Debian's Dovecot and Postfix, in turn, in one run: imaptest's stress, logins, deliveries.

    cargo build --release --bin mailserver --bin load
    benches/scripts/beside.py target/release [IMAPTEST]

Run it as root, which Dovecot and Postfix need. IMAPTEST is Dovecot's program of that name, which is in no package;
without it only deliveries are measured. Each pair is measured ROUNDS times, one after the other, and the medians are compared.
BEFORE names the mailserver of an earlier commit, which is then measured in the same rounds.
Dovecot keeps its mail as sdbox and flushes what it appends, as mailserver does; its password is in clear and costs nothing
to check, where mailserver uses argon2id. Postfix answers 250 when a message is in its queue and flushed; its delivery after
that uses the same processors and is not measured.
"""
import os, resource, shutil, socket, statistics, subprocess, sys, tempfile, time

PASSWORD = "measured"
ROUNDS = int(os.environ.get("ROUNDS", 3))
SECONDS = int(os.environ.get("SECONDS", 15))
USERS = 10
CROWDS = [int(word) for word in os.environ.get("CROWDS", "1 8 20 50 100").split()]
LEAST = {1: 2, 8: 3, 20: 4, 50: 6, 100: 7}
target = os.path.abspath(sys.argv[1])
imaptest = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else None
before = os.environ.get("BEFORE")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(port):
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on {port}")


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


class Hikyaku:
    name = "mailserver"
    more = ""  # of the configuration
    program = f"{target}/mailserver"

    def __init__(self, folder):
        self.imap, self.smtp, self.submission = free_port(), free_port(), free_port()
        self.config = f"{folder}/mailserver.toml"
        config, program = self.config, self.program
        write(
            config,
            f'hostname = "localhost"\ndata = "{folder}/data"\ndomains = ["example.test"]\n'
            f'[listen]\nimap = "127.0.0.1:{self.imap}"\nsmtp = "127.0.0.1:{self.smtp}"\n'
            f'submission = "127.0.0.1:{self.submission}"\n'
            '[auth]\nplaintext = "always"\n[limits]\nconnections_per_ip = 5000\nquota = "100 GiB"\n'
            '[limits.account]\nmessages_per_hour = 0\nrecipients_per_hour = 0\nrecipients_per_day = 0\nsudden_recipients = 0\n'
            f"{self.more}",
        )
        for number in range(1, USERS + 1):
            add = [program, "--config", config, "account", "add", f"user{number}@example.test"]
            subprocess.run(add, input=PASSWORD.encode(), check=True, capture_output=True)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([program, "--config", config], **quiet)
        wait_for(self.imap)
        wait_for(self.smtp)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Before(Hikyaku):
    name = "mailserver before"
    program = before


class Dovecot:
    name = "Dovecot"

    def __init__(self, folder):
        for name in ("run", "mail"):
            os.mkdir(f"{folder}/{name}")
        os.chmod(folder, 0o755)
        os.chmod(f"{folder}/mail", 0o777)
        self.imap = free_port()
        config = f"{folder}/dovecot.conf"
        write(
            config,
            f"base_dir = {folder}/run\nstate_dir = {folder}/run\nlog_path = {folder}/dovecot.log\nprotocols = imap\n"
            "listen = 127.0.0.1\nssl = no\ndisable_plaintext_auth = no\nauth_mechanisms = plain login\n"
            f"mail_location = sdbox:{folder}/mail/%n\nfirst_valid_uid = 1\nmail_fsync = optimized\n"
            "default_internal_user = nobody\ndefault_login_user = nobody\ndefault_internal_group = nogroup\n"
            "default_vsz_limit = 2G\nmail_max_userip_connections = 5000\n"
            "service anvil {\n  chroot =\n}\n"
            f"service imap-login {{\n  chroot =\n  inet_listener imap {{\n    port = {self.imap}\n  }}\n"
            "  inet_listener imaps {\n    port = 0\n  }\n}\n"
            f"passdb {{\n  driver = static\n  args = password={PASSWORD}\n}}\n"
            f"userdb {{\n  driver = static\n  args = uid=nobody gid=nogroup home={folder}/mail/%n\n}}\n",
        )
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(["dovecot", "-F", "-c", config], **quiet)
        wait_for(self.imap)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Postfix:
    name = "Postfix"
    more = ""  # of main.cf

    def __init__(self, folder):
        for name in ("postfix", "queue", "state", "mail"):
            os.mkdir(f"{folder}/{name}")
        os.chmod(folder, 0o755)
        os.chmod(f"{folder}/mail", 0o777)
        shutil.chown(f"{folder}/state", "postfix")
        self.smtp = free_port()
        nobody = lambda flag: subprocess.check_output(["id", flag, "nobody"], text=True).strip()
        write(
            f"{folder}/postfix/main.cf",
            f"compatibility_level = 3.6\nqueue_directory = {folder}/queue\ndata_directory = {folder}/state\n"
            "mail_owner = postfix\nsetgid_group = postdrop\nmyhostname = localhost\nmydestination =\n"
            "inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmynetworks = 127.0.0.0/8\nalias_maps =\n"
            "local_recipient_maps =\n"
            f"maillog_file = {folder}/postfix.log\nmaillog_file_prefixes = {folder}\n"
            f"virtual_mailbox_domains = example.test\nvirtual_mailbox_base = {folder}/mail\n"
            "virtual_mailbox_maps = inline:{user1@example.test=user1/}\n"
            f"virtual_uid_maps = static:{nobody('-u')}\nvirtual_gid_maps = static:{nobody('-g')}\n"
            "smtpd_client_connection_count_limit = 0\nsmtpd_client_connection_rate_limit = 0\n"
            f"default_process_limit = 200\n{self.more}",
        )

        # No service may be in a chroot: there is nothing in it.
        def service(name, kind, program):
            private = "n" if kind == "inet" or name == "cleanup" else "-"
            privileged = "n" if name == "virtual" else "-"
            most = "0" if program in ("cleanup", "bounce") else "-"
            return f"{name} {kind} {private} {privileged} n - {most} {program}\n"

        lines = [service(f"127.0.0.1:{self.smtp}", "inet", "smtpd"), "qmgr unix n - n 300 1 qmgr\n"]
        lines += ["tlsmgr unix - - n 1000? 1 tlsmgr\n", "anvil unix - - n - 1 anvil\n", "scache unix - - n - 1 scache\n"]
        lines += ["postlog unix-dgram n - n - 1 postlogd\n", "verify unix - - n - 1 verify\n"]
        for name, program in [
            ("cleanup", "cleanup"), ("rewrite", "trivial-rewrite"), ("bounce", "bounce"), ("defer", "bounce"),
            ("trace", "bounce"), ("proxymap", "proxymap"), ("smtp", "smtp"), ("error", "error"), ("retry", "error"),
            ("virtual", "virtual"),
        ]:
            lines.append(service(name, "unix", program))
        write(f"{folder}/postfix/master.cf", "".join(lines))
        subprocess.run(["postfix", "-c", f"{folder}/postfix", "check"], check=True, capture_output=True)
        master = subprocess.check_output(["postconf", "-h", "daemon_directory"], text=True).strip() + "/master"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([master, "-d", "-c", f"{folder}/postfix"], **quiet)
        wait_for(self.smtp)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def started(kind):
    folder = tempfile.mkdtemp(prefix="hikyaku-beside-")
    return kind(folder), folder


def ended(server, folder):
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


def deliveries(server, crowd):
    each = max(3000 // crowd, 50) if crowd > 1 else 1000
    line = [f"{target}/load", f"smtp:127.0.0.1:{server.smtp}", "user1@example.test", str(crowd), str(each), "2000"]
    said = subprocess.run(line, capture_output=True, text=True, timeout=300)
    if said.returncode:
        raise SystemExit(f"{server.name}, {crowd} at once: {said.stderr}")
    return float(said.stdout.split()[0])


def mbox(folder):
    """What imaptest appends."""
    path = f"{folder}/mbox"
    with open(path, "w") as file:
        for number in range(200):
            body = "All work and no play makes a courier a dull runner, by day and by night.\n" * (10 + number % 40)
            file.write(
                f"From friend@elsewhere.test Tue Nov 24 10:00:00 2026\nFrom: Friend {number} <friend{number}@elsewhere.test>\n"
                f"To: user1@example.test\nSubject: message number {number}\nDate: Tue, 24 Nov 2026 10:00:00 +0000\n"
                f"Message-ID: <{number}@elsewhere.test>\n\n{body}\n"
            )
    return path


def commands(server, box, more):
    line = [imaptest, "host=127.0.0.1", f"port={server.imap}", "user=user%d@example.test", f"users={USERS}", f"pass={PASSWORD}"]
    line += [f"mbox={box}", "clients=20", f"secs={SECONDS}", "seed=1", "no_tracking", *more]
    # Where Debian has the library that it needs.
    environment = dict(os.environ, LD_LIBRARY_PATH="/usr/lib/dovecot")
    done = subprocess.run(line, capture_output=True, text=True, timeout=SECONDS * 4, env=environment)
    lines = done.stdout.splitlines()
    totals = [at for at, line in enumerate(lines) if line.startswith("Totals:")]
    if not totals:
        raise SystemExit(f"{server.name}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    names = lines[totals[-1] + 1].split()
    for line in lines[totals[-1] + 2:]:
        counts = [int(word) for word in line.split() if word.isdigit()]
        if len(counts) >= len(names):
            by = dict(zip(names, counts))
            return sum(counts[: len(names)]), by
    raise SystemExit(f"{server.name}: {done.stdout[-2000:]}")


def rounds(peer, measured):
    """What each server does in each round, ours first, then the peer, then ours of before."""
    all = {kind: [] for kind in [Hikyaku, peer, *([Before] if before else [])]}
    for _ in range(ROUNDS):
        for kind, results in all.items():
            server, folder = started(kind)
            try:
                results.append(measured(server, folder))
            finally:
                ended(server, folder)
    return list(all.values())


def row(what, results, least):
    ours, theirs, *earlier = [statistics.median(rates) for rates in results]
    ratio = ours / theirs
    earlier = "".join(f" {rate:.0f} | {rate / theirs:.2f} |" for rate in earlier)
    print(f"| {what} | {ours:.0f} | {theirs:.0f} | {ratio:.2f} | {least} |{earlier}", flush=True)
    return ratio >= least


def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    good = True
    print("| what | mailserver | the other | ratio | at least |" + (" before | its ratio |" if before else ""))
    print("|---|---|---|---|---|" + ("---|---|" if before else ""), flush=True)
    for crowd in CROWDS:
        rates = rounds(Postfix, lambda server, _: deliveries(server, crowd))
        good &= row(f"deliveries a second by SMTP, {crowd} connections, Postfix", rates, LEAST.get(crowd, 2))
    for what, more, least in [("logout=0", ["logout=0"], 1.0), ("with logins", [], 0.8), ("LOGIN and LOGOUT alone", ["-", "logout=100"], 0.8)]:
        if not imaptest:
            break
        counted = rounds(Dovecot, lambda server, folder: commands(server, mbox(folder), more))
        good &= row(f"imaptest, commands a second, {what}, Dovecot", [[total / SECONDS for total, _ in all] for all in counted], least)
        logins = [statistics.median(by.get("Logi", 0) / SECONDS for _, by in all) for all in counted]
        print("(logins a second: " + ", ".join(f"{rate:.0f}" for rate in logins) + ")", flush=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
