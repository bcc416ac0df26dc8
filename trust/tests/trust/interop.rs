//! Other programs: dkimpy (PyPI) and Debian's OpenDKIM verify what is signed here, and what they sign is verified here.
//! `scripts/test` installs them.

use crate::world::{World, check, checker};
use hikyaku_trust::signing::{Algorithm, Key, Signer};
use hikyaku_trust::{Arrival, Checked, Outcome};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

const MESSAGE: &str = "From: Ann <ann@one.test>\r\nTo: bob@two.test\r\nSubject: Hello\r\n =?utf-8?q?w=C3=B6rld?=\r\n\
    Date: Mon, 1 Jan 2024 10:00:00 +0000\r\nMessage-ID: <1@one.test>\r\n\r\nHello  Bob \r\n\r\n.dot\r\n\r\n\r\n";

/// Verifies DKIM and ARC: `python3 -c .. records < message`. The records are lines of a name and a text.
const VERIFY: &str = r#"
import sys, dkim
records = dict(line.split(" ", 1) for line in open(sys.argv[1]).read().splitlines())
dns = lambda name, timeout=5: records.get(name.decode().rstrip("."), "").encode() or None
message = sys.stdin.buffer.read()
def verified(one, idx):
    try:
        return one.verify(idx=idx, dnsfunc=dns)
    except dkim.DKIMException:
        return False
one = dkim.DKIM(message)
count = sum(name.lower() == b"dkim-signature" for name, value in one.headers)
print("dkim", *[verified(one, idx) for idx in range(count)])
print("arc", dkim.arc_verify(message, dnsfunc=dns)[0].decode())
"#;

/// Signs, and seals: `python3 -c .. key kind < message`, with the selector `other`.
const SIGN: &str = r#"
import sys, dkim
key, kind = open(sys.argv[1], "rb").read(), sys.argv[2].encode()
message = sys.stdin.buffer.read()
message = dkim.sign(message, b"other", b"one.test", key, signature_algorithm=kind) + message
results = b"Authentication-Results: mx.one.test; dkim=pass header.d=one.test\r\n"
message = results + message
if kind == b"rsa-sha256":
    seal = dkim.arc_sign(message, b"other", b"one.test", key, b"mx.one.test")
    message = b"".join(seal) + message
sys.stdout.buffer.write(message)
"#;

fn python(script: &str, arguments: &[&Path], last: &str, input: &str) -> String {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clients/python");
    let mut child = Command::new("python3")
        .args(["-c", script])
        .args(arguments)
        .arg(last)
        .env("PYTHONPATH", packages)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "is dkimpy installed? scripts/test does it"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// OpenDKIM's own test mode, with a configuration. Returns what it would have put into the message.
fn opendkim(room: &Path, configuration: &str, verbosity: &[&str], message: &str) -> String {
    let file = |name: &str, text: &str| {
        let path = room.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let configuration =
        format!("{configuration}\nSyslog no\nRequireSafeKeys no\nInternalHosts 0.0.0.0/0\n");
    let output = Command::new("/usr/sbin/opendkim")
        .arg("-x")
        .arg(file("opendkim.conf", &configuration))
        .arg("-t")
        .arg(file("message.eml", message))
        .args(verbosity)
        .output()
        .expect("is OpenDKIM installed? scripts/test does it");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn write_records(room: &Path, records: &[(String, String)]) -> PathBuf {
    let lines: Vec<String> = records
        .iter()
        .map(|(name, text)| format!("{name} {text}\n"))
        .collect();
    let path = room.join("records");
    std::fs::write(&path, lines.concat()).unwrap();
    path
}

/// A signer of `one.test` with both kinds of keys, and what it publishes.
fn signer() -> (Signer, Vec<(String, String)>) {
    let mut signer = Signer::default();
    let mut records = Vec::new();
    for (selector, algorithm) in [("rsa", Algorithm::Rsa), ("ed", Algorithm::Ed25519)] {
        let key = Key::generate(algorithm).unwrap();
        records.push((
            format!("{selector}._domainkey.one.test"),
            key.record_strings().concat(),
        ));
        signer.add("one.test", selector, key).unwrap();
    }
    (signer, records)
}

fn arrive(world: &Arc<World>, message: &str) -> Checked {
    let arrival = Arrival {
        address: [192, 0, 2, 1].into(),
        helo: "mail.one.test",
        mail_from: "ann@one.test",
        message: message.as_bytes(),
    };
    check(&checker(world), arrival)
}

#[test]
fn dkimpy_verifies_signatures_and_seals() {
    let room = tempfile::tempdir().unwrap();
    let (signer, records) = signer();
    let world = World::new("");
    for (name, text) in &records {
        world.add(name, "TXT", text);
    }
    let file = write_records(room.path(), &records);
    let mut message = signer
        .sign("one.test", MESSAGE.as_bytes(), SystemTime::now())
        .unwrap()
        + MESSAGE;
    for _ in 0..2 {
        let checked = arrive(&world, &message);
        let checker = checker(&world);
        let seal = checker.seal(
            &signer,
            "one.test",
            message.as_bytes(),
            &checked,
            SystemTime::now(),
        );
        message = seal.unwrap().unwrap() + &message;
        assert_eq!(
            python(VERIFY, &[&file], "", &message),
            "dkim True True\narc pass\n",
            "{message}"
        );
    }
    let changed = message.replace("Hello  Bob", "Hello Eve");
    assert_eq!(
        python(VERIFY, &[&file], "", &changed),
        "dkim False False\narc fail\n"
    );
}

#[test]
fn opendkim_verifies_signatures() {
    let room = tempfile::tempdir().unwrap();
    let (signer, records) = signer();
    let file = write_records(room.path(), &records);
    let message = signer
        .sign("one.test", MESSAGE.as_bytes(), SystemTime::now())
        .unwrap()
        + MESSAGE;
    let verify = format!("Mode v\nTestDNSData file:{}", file.display());
    let results = opendkim(room.path(), &verify, &["-v", "-v"], &message);
    assert!(
        results.contains("dkim=pass (2048-bit key) header.d=one.test"),
        "{results}"
    );
    assert!(
        results.contains("header.a=rsa-sha256 header.s=rsa"),
        "{results}"
    );
    let changed = message.replace("Hello  Bob", "Hello Eve");
    let results = opendkim(room.path(), &verify, &["-v", "-v"], &changed);
    assert!(
        results.contains("dkim=fail") && !results.contains("dkim=pass"),
        "{results}"
    );
}

#[test]
fn what_dkimpy_signs_and_seals_is_verified() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("key");
    for (kind, algorithm) in [
        ("rsa-sha256", Algorithm::Rsa),
        ("ed25519-sha256", Algorithm::Ed25519),
    ] {
        let key = Key::generate(algorithm).unwrap();
        let world = World::new("");
        world.add("other._domainkey.one.test", "TXT", &key.record());
        let pem = key.to_pem();
        // dkimpy takes the bare key of Ed25519, and PKCS #8 of RSA.
        let text = match algorithm {
            Algorithm::Rsa => pem.to_string(),
            _ => seed(&pem),
        };
        std::fs::write(&path, text).unwrap();
        let message = python(SIGN, &[&path], kind, MESSAGE);
        let checked = arrive(&world, &message);
        let signatures = checked.verdicts.dkim.unwrap();
        let [signature] = signatures.as_slice() else {
            panic!("{signatures:?}")
        };
        assert_eq!(
            (signature.algorithm, signature.outcome),
            (kind, Outcome::Pass),
            "{:?}",
            signature.reason
        );
        let arc = checked.verdicts.arc.unwrap();
        let want = if algorithm == Algorithm::Rsa {
            Outcome::Pass
        } else {
            Outcome::None
        };
        assert_eq!(arc.outcome, want, "{:?}", arc.reason);
    }
}

/// The last 32 octets of a key for Ed25519, in base64.
fn seed(pem: &str) -> String {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    let lines = pem.lines().filter(|line| !line.starts_with('-'));
    let document = engine.decode(lines.collect::<String>()).unwrap();
    engine.encode(&document[document.len() - 32..])
}

#[test]
fn what_opendkim_signs_is_verified() {
    let room = tempfile::tempdir().unwrap();
    let key = Key::generate(Algorithm::Rsa).unwrap();
    let path = room.path().join("key");
    std::fs::write(&path, key.to_pem().as_bytes()).unwrap();
    let world = World::new("");
    world.add("other._domainkey.one.test", "TXT", &key.record());
    for (algorithm, canonicalization, want) in [
        ("rsa-sha256", "relaxed/relaxed", Outcome::Pass),
        ("rsa-sha256", "simple/simple", Outcome::Pass),
        ("rsa-sha256", "relaxed/simple", Outcome::Pass),
        // RFC 8301 §3.1.
        ("rsa-sha1", "relaxed/relaxed", Outcome::PermError),
    ] {
        let sign = format!(
            "Mode s\nDomain one.test\nSelector other\nKeyFile {}\nSignatureAlgorithm {algorithm}\nCanonicalization {canonicalization}",
            path.display()
        );
        let said = opendkim(room.path(), &sign, &["-v"], MESSAGE).replace("\r\n", "\n");
        let (_, field) = said.split_once("\nDKIM-Signature: ").expect(&said);
        let message = format!(
            "DKIM-Signature: {}\r\n{MESSAGE}",
            field.trim_end().replace('\n', "\r\n")
        );
        let signatures = arrive(&world, &message).verdicts.dkim.unwrap();
        let [signature] = signatures.as_slice() else {
            panic!("{signatures:?}")
        };
        assert_eq!(
            signature.outcome, want,
            "{algorithm} {canonicalization}: {:?}\n{message}",
            signature.reason
        );
    }
}
