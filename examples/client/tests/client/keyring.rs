//! The program as it is typed: passwords go into the keyring, and exit codes say what went wrong.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// `mailclient` with a keyring that is a folder.
fn mailclient(home: &Path, words: &[&str], typed: &str) -> Output {
    let path = format!("{}:{}", home.display(), std::env::var("PATH").unwrap());
    let mut child = Command::new(env!("CARGO_BIN_EXE_mailclient"))
        .args(words)
        .env("PATH", path)
        .env("HIKYAKU_HOME", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who needs nothing typed does not read it.
    let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
    child.wait_with_output().unwrap()
}

/// What `secret-tool` does, with files for secrets; the last word names one.
const SECRET_TOOL: &str = "#!/bin/sh\nfor last; do :; done\nfile=\"$(dirname \"$0\")/secret-$last\"\n\
    case $1 in store) cat >\"$file\";; lookup) cat \"$file\" 2>/dev/null;; clear) rm -f \"$file\";; esac\n";

const ADD: [&str; 10] = [
    "account",
    "add",
    "me@a.test",
    "--type",
    "pop",
    "--incoming",
    "localhost:1",
    "--outgoing",
    "localhost:1",
    "--no-test",
];

#[test]
fn the_password_is_in_the_keyring_and_nowhere_else() {
    let home = tempfile::tempdir().unwrap();
    let tool = home.path().join("secret-tool");
    std::fs::write(&tool, SECRET_TOOL).unwrap();
    std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
    let added = mailclient(home.path(), &ADD, "sesame\n");
    let said = String::from_utf8_lossy(&added.stdout);
    assert!(
        added.status.success(),
        "{}",
        String::from_utf8_lossy(&added.stderr)
    );
    assert!(
        said.starts_with(
            "POP: mail is downloaded to this device and by default deleted from the server"
        ),
        "{said}"
    );
    let secret = home.path().join("secret-me@a.test");
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "sesame");
    let file = home.path().join("accounts.toml");
    assert!(!std::fs::read_to_string(&file).unwrap().contains("sesame"));
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    // Nobody listens there: the network, not the login.
    assert_eq!(
        mailclient(home.path(), &["sync"], "").status.code(),
        Some(4)
    );
    assert!(
        mailclient(home.path(), &["account", "remove", "me@a.test"], "")
            .status
            .success()
    );
    assert!(!secret.exists());
}

#[test]
fn without_a_keyring_it_is_said_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let tool = home.path().join("secret-tool");
    std::fs::write(&tool, "#!/bin/sh\necho 'no bus' >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
    let added = mailclient(home.path(), &ADD, "sesame\n");
    let said = String::from_utf8_lossy(&added.stderr);
    assert!(said.contains("--password-command"), "{said}");
    assert_eq!(added.status.code(), Some(3));
    assert!(!home.path().join("accounts.toml").exists());
    assert_eq!(
        mailclient(home.path(), &["list"], "").status.code(),
        Some(6)
    );
    assert_eq!(
        mailclient(home.path(), &["account", "add", "nobody"], "")
            .status
            .code(),
        Some(2)
    );
}
