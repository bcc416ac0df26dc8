//! The server as a service of the system: what it reports, which sockets it is given, and which rights it gives up.

use crate::harness::{Talk, run};
use crate::mailserver::{Mailserver, PROGRAM, add_account, configured};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

const LISTEN: &str =
    "[listen]\nlmtp = \"127.0.0.1:0\"\nimap = \"127.0.0.1:0\"\nimaps = \"127.0.0.1:0\"\n";

async fn signal(server: &Mailserver, name: &str) {
    let pid = server.child.id();
    assert!(
        run("sh", &["-c", &format!("kill -{name} {pid}")], "")
            .await
            .0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn systemd_is_notified_of_each_state() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = configured(folder.path(), "data", LISTEN);
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let patience = Some(Duration::from_secs(20));
    socket.set_read_timeout(patience).unwrap();
    let heard = || {
        let mut octets = [0; 1000];
        let count = socket.recv(&mut octets).unwrap();
        String::from_utf8(octets[..count].to_vec()).unwrap()
    };
    let before = format!("export NOTIFY_SOCKET={};", path.display());
    let mut server = Mailserver::start(&before, &configuration);
    assert_eq!(heard(), "READY=1\n");
    signal(&server, "HUP").await;
    // systemd.service(5), Type=notify-reload: with the time at which it began.
    let reloading = heard();
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert_eq!(heard(), "READY=1\n");
    signal(&server, "TERM").await;
    assert_eq!(heard(), "STOPPING=1\n");
    let ended = tokio::task::spawn_blocking(move || server.child.wait().unwrap());
    assert!(ended.await.unwrap().success());
}

/// Opens sockets as systemd does, and becomes the program that its arguments name. Their ports are in a file.
const PASS: &str = "import fcntl, os, socket, sys\n\
    sockets = [socket.create_server(('127.0.0.1', 0)) for _ in range(3)]\n\
    with open(sys.argv[1], 'w') as ports:\n    \
    ports.write(' '.join(str(one.getsockname()[1]) for one in sockets))\n\
    high = [fcntl.fcntl(one.fileno(), fcntl.F_DUPFD, 100) for one in sockets]\n\
    for at, one in enumerate(high):\n    os.dup2(one, 3 + at)\n    os.close(one)\n\
    os.environ.update(LISTEN_FDS='3', LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=sys.argv[2])\n\
    os.execv(sys.argv[4], sys.argv[4:])\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_of_systemd_take_the_place_of_configured_ones() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("pass.py"), PASS).unwrap();
    let configuration = configured(folder.path(), "data", LISTEN);
    add_account(&configuration, "bob@example.test").await;
    let before = |names: &str| format!("exec python3 {} {} {names}", at("pass.py"), at("ports"));
    let server = Mailserver::start(&before("imap:smtp:imap"), &configuration);
    let ports = std::fs::read_to_string(at("ports")).unwrap();
    let ports: Vec<u16> = ports.split(' ').map(|port| port.parse().unwrap()).collect();
    let passed = |n: usize| std::net::SocketAddr::from(([127, 0, 0, 1], ports[n]));
    for (n, greeting) in [(0, "* OK"), (1, "220 "), (2, "* OK")] {
        let line = Talk::new(passed(n)).await.line().await;
        assert!(line.starts_with(greeting), "{line}");
    }
    assert!([passed(0), passed(2)].contains(&server.at("Imap")));
    // What none was passed for is opened as configured.
    let line = Talk::new(server.at("Lmtp")).await.line().await;
    assert!(line.starts_with("220 "), "{line}");
    drop(server);
    for names in ["imap:bogus:smtp", "imap:smtp"] {
        let words = format!("{} exec {PROGRAM} --config {configuration}", before(names));
        let (ok, said) = run("sh", &["-c", &words], "").await;
        assert!(!ok && said.lines().count() == 1, "{said}");
        assert!(said.contains("FileDescriptorName=imaps"), "{said}");
    }
}

/// What all threads of a process have in a line of their status.
fn of_all_threads(pid: u32, line: &str) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let statuses = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("status")));
    let lines = statuses.map(|status| {
        let status = status.unwrap();
        let mut lines = status.lines().filter_map(|one| one.strip_prefix(line));
        lines
            .next()
            .unwrap()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    });
    lines.collect()
}

fn owner(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().uid()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roots_rights_are_given_up_when_the_ports_are_open() {
    let folder = tempfile::tempdir().unwrap();
    if owner(folder.path()) != 0 {
        eprintln!("not tested, since only root can give up root's rights");
        return;
    }
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let rest = format!("{LISTEN}smtp = \"127.91.17.4:25\"\n[run]\nuser = \"nobody\"\n");
    let configuration = configured(folder.path(), "data", &rest);
    let data = folder.path().join("data");
    // Accounts are made before the first start, by root: nothing of it is root's.
    add_account(&configuration, "bob@example.test").await;
    let (_, nobody) = run("id", &["-u", "nobody"], "").await;
    let (_, group) = run("id", &["-g", "nobody"], "").await;
    let (nobody, group) = (nobody.trim(), group.trim());
    for path in [
        data.clone(),
        data.join("store"),
        data.join("store/store.sqlite"),
    ] {
        assert_eq!(owner(&path).to_string(), nobody, "{}", path.display());
    }
    let server = Mailserver::start("", &configuration);
    let pid = server.child.id();
    for (line, expected) in [
        ("Uid:", format!("{nobody} {nobody} {nobody} {nobody}")),
        ("Gid:", format!("{group} {group} {group} {group}")),
        ("Groups:", group.to_owned()),
        ("CapPrm:", "0".repeat(16)),
        ("CapEff:", "0".repeat(16)),
    ] {
        let all = of_all_threads(pid, line);
        assert!(
            all.len() > 1 && all.iter().all(|one| *one == expected),
            "{line} {all:?}"
        );
    }
    // A port that only root may open.
    let line = Talk::new("127.91.17.4:25".parse().unwrap())
        .await
        .line()
        .await;
    assert!(line.starts_with("220 "), "{line}");
    let list = ["--config", &configuration, "account", "list"];
    let (ok, said) = run(PROGRAM, &list, "").await;
    assert!(ok && said.contains("bob@example.test"), "{said}");
    assert_eq!(owner(&data.join("tls/key.pem")).to_string(), nobody);
    drop(server);
    // A key that only root can read would not be loaded again: the start says so.
    let key = folder.path().join("key.pem");
    std::fs::copy(data.join("tls/key.pem"), &key).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let rest = format!(
        "{rest}[tls]\ncert = \"{}\"\nkey = \"{}\"\n",
        data.join("tls/cert.pem").display(),
        key.display()
    );
    let configuration = configured(folder.path(), "data", &rest);
    let (ok, said) = run(PROGRAM, &["--config", &configuration], "").await;
    assert!(
        !ok && said.contains("give a PEM file that this user may read"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_unit_leaves_the_server_few_rights() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/dist/mailserver.service");
    let analyze =
        "command -v systemd-analyze >/dev/null || exit 0\nsystemd-analyze security --offline=true";
    let (_, said) = run("sh", &["-c", &format!("{analyze} {unit}")], "").await;
    let Some(line) = said
        .lines()
        .find(|line| line.contains("Overall exposure level"))
    else {
        eprintln!("not tested without systemd-analyze: {said}");
        return;
    };
    let words: Vec<_> = line.split_whitespace().collect();
    let score = words.iter().find_map(|word| word.parse::<f32>().ok());
    assert!(score.is_some_and(|score| score < 2.0), "{line}");
}
