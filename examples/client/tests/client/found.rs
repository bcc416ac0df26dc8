//! `mailclient account add` with nothing but an address: the server says where it is.

use mailserver::{Config, Protocol, Server};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::path::Path;

/// Where the names of the test lead. Autoconfig files are asked for on port 443, so nobody else may be there.
const HERE: &str = "127.91.17.3";
const PASSWORD: &str = "a secret of words";

/// A certificate for these names, with its authority, in files of a folder.
fn certificates(folder: &Path, names: &[&str]) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(names).unwrap();
    let cert = params.signed_by(&key, &issuer).unwrap();
    std::fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
    std::fs::write(folder.join("server.pem"), cert.pem() + &key.serialize_pem()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_enough_to_find_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    certificates(
        folder.path(),
        &["mail.example.test", "autoconfig.example.test"],
    );
    let text = format!(
        "hostname = \"mail.example.test\"\ndomains = [\"example.test\"]\ndata = \"{}\"\n\
         [tls]\ncert = \"{1}\"\nkey = \"{1}\"\n[listen]\nimaps = \"{HERE}:0\"\nimap = \"{HERE}:0\"\n\
         submissions = \"{HERE}:0\"\nhttps = \"{HERE}:443\"\n",
        at("data"),
        at("server.pem")
    );
    let server = match Server::start(Config::parse(&text).unwrap()).await {
        Ok(server) => server,
        Err(error) if error.to_string().contains("denied") => {
            eprintln!("not tested, since port 443 is for root: {error}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let accounts = server.accounts();
    accounts.add("me@example.test", PASSWORD).await.unwrap();
    let hosts = format!("{HERE} mail.example.test\n{HERE} autoconfig.example.test\n");
    std::fs::write(at("hosts"), hosts).unwrap();
    let mut add = tokio::process::Command::new(env!("CARGO_BIN_EXE_mailclient"));
    add.args([
        "account",
        "add",
        "me@example.test",
        "--type",
        "imap",
        "--ca",
        &at("ca.pem"),
        "--password-command",
        &format!("echo {PASSWORD}"),
    ])
    .env("HIKYAKU_HOME", at("home"))
    .env("LD_PRELOAD", "libnss_wrapper.so")
    .env("NSS_WRAPPER_HOSTS", at("hosts"))
    .kill_on_drop(true);
    let added = tokio::time::timeout(std::time::Duration::from_secs(120), add.output());
    let added = added.await.expect("an end in time").unwrap();
    let said = [added.stdout, added.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(added.status.success(), "{said}");
    for protocol in [Protocol::Imaps, Protocol::Submissions] {
        let port = server.address(protocol).unwrap().port();
        assert!(
            said.contains(&format!("mail.example.test:{port}")),
            "{said}"
        );
    }
    server.stop().await;
}
