//! Two networks, for tests that need addresses, ports below 1024 and names as they are in the world: the test runs again in
//! the world, where nothing of this machine's network is, beside a machine for the server. Root can have them.

use crate::harness::run;
use std::path::{Path, PathBuf};

/// The machine of the documentation.
pub(crate) const OURS: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
/// Of the world: a provider, and a host with DNS and an ACME server. All programs ask that DNS server.
pub(crate) const PROVIDER: &str = "198.51.100.25";
pub(crate) const HOST: &str = "198.51.100.53";
/// The arguments of `nsenter` for a program on the machine.
pub(crate) const ON_THE_MACHINE: &str = "--net=/run/netns/machine";
/// The authority that programs of the world trust is in this file of the folder, once the test has put it there.
pub(crate) const TRUSTED: &str = "trusted.pem";
/// Set in the world: the folder.
const FOLDER: &str = "HIKYAKU_NETWORKS";

/// The folder of a test that runs in the world.
pub(crate) fn within() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// Runs a test, whose name that is, in the world; without the right to have networks it is left out.
pub(crate) async fn run_within(test: &str) {
    let own = ["--net", "--mount", "--pid", "--fork", "--kill-child"];
    let (ok, said) = run("unshare", &[&own[..], &["true"]].concat(), "").await;
    if !ok {
        eprintln!("not tested without networks of its own, which root can have: {said}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Some programs of the world are no root.
    run("chmod", &["755", folder.path().to_str().unwrap()], "").await;
    let mut command = tokio::process::Command::new("timeout");
    command
        .args(["-k", "5", "240", "unshare"])
        .args(own)
        .arg("--mount-proc")
        .args(["sh", "-ec", "eval \"$1\"; shift; exec \"$@\"", "networks"])
        .arg(networks(folder.path()))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(FOLDER, folder.path())
        .kill_on_drop(true);
    for name in ["SSL_CERT_FILE", "CURL_CA_BUNDLE"] {
        command.env(name, folder.path().join(TRUSTED));
    }
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    let done = command.output().await.unwrap();
    let said = [done.stdout, done.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let passed = done.status.success() && said.contains("1 passed");
    assert!(passed, "{said}");
}

/// A shell that makes two networks: the world's, which is the test's own, and the machine's.
fn networks(folder: &Path) -> String {
    let (at, [ours, also]) = (folder.display(), OURS);
    format!(
        "mkdir -p /run/netns\nmount -t tmpfs tmpfs /run/netns\nip netns add machine\n\
         ip link add world type veth peer name machine netns machine\n\
         ip link set lo up\nip link set world up\nip addr add 192.0.2.254/24 dev world\n\
         ip addr add 2001:db8::fe/64 dev world nodad\n\
         ip addr add {PROVIDER}/32 dev lo\nip addr add {HOST}/32 dev lo\n\
         echo nameserver {HOST} >{at}/resolv.conf\necho 127.0.0.1 localhost >{at}/hosts\n\
         mount --bind {at}/resolv.conf /etc/resolv.conf\nmount --bind {at}/hosts /etc/hosts\n\
         on=\"nsenter {ON_THE_MACHINE}\"\n$on ip link set lo up\n$on ip link set machine up\n\
         $on ip addr add {ours}/24 dev machine\n$on ip addr add {also}/64 dev machine nodad\n\
         $on ip route add default via 192.0.2.254\n"
    )
}
