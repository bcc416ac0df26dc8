//! `mailserver setup`: the configuration of a domain, its keys, and the records of its zone.

mod zone;

use hikyaku_smtp_proto::Mailbox;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::config::{Config, ConfigError};
use crate::examine::{DkimError, made};

/// What cannot be known: the domain, and where the server is.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "the program fills it in")]
pub struct Setup {
    /// The domain that is to have mail.
    pub domain: String,
    /// The server's name; `mail.` and the domain if `None`.
    pub hostname: Option<String>,
    /// The server's addresses, as the world sees them.
    pub addresses: Vec<IpAddr>,
    /// The data folder.
    pub data: PathBuf,
}

/// Why nothing was set up: one line, with the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A name.
    #[error("\"{0}\" is not the name of a domain: write, for example, example.org")]
    Name(String),
    /// There is no address.
    #[error("the server's public addresses are needed: name each with --address")]
    NoAddress,
    /// The configuration.
    #[error("{0}: {1}: name another file with --config, or change that one")]
    File(String, io::Error),
    /// What was written.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The keys.
    #[error(transparent)]
    Dkim(#[from] DkimError),
}

/// The name of a domain, in small letters.
fn name(text: &str) -> Result<String, SetupError> {
    let text = text.trim_end_matches('.').to_lowercase();
    let is_name = text.contains('.')
        && !text.contains(['[', '"', '\\'])
        && text.is_ascii()
        && Mailbox::parse(format!("a@{text}").as_bytes()).is_ok();
    match is_name {
        true => Ok(text),
        false => Err(SetupError::Name(text)),
    }
}

/// Writes the configuration into a new file and makes the keys; returns the records, and what is left to do.
///
/// # Errors
/// One line, with the remedy. A file that is there is not touched.
pub fn setup(file: &Path, setup: &Setup) -> Result<String, SetupError> {
    let domain = name(&setup.domain)?;
    let hostname = match &setup.hostname {
        Some(hostname) => name(hostname)?,
        None => format!("mail.{domain}"),
    };
    if setup.addresses.is_empty() {
        return Err(SetupError::NoAddress);
    }
    let failed = |error| SetupError::File(file.display().to_string(), error);
    if file.exists() {
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    let text = configuration(&hostname, &domain, setup);
    let config = Config::parse(&text)?;
    // Everybody verifies RSA, and Ed25519 is there for those who do.
    let mut keys = Vec::new();
    for (selector, rsa) in [("r1", true), ("e1", false)] {
        keys.push(made(&config, &domain, selector, rsa)?);
    }
    let lines = keys.iter().map(|key| format!("\n{}", key.configuration));
    let text = text + &lines.collect::<String>();
    let write = || -> io::Result<()> {
        let mut file = std::fs::File::create_new(file)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(failed)?;
    let records = zone::records(&hostname, &domain, &setup.addresses, &keys);
    Ok(records + &steps(file, &hostname, &domain, setup))
}

fn configuration(hostname: &str, domain: &str, setup: &Setup) -> String {
    // One socket takes both kinds of addresses.
    let any = match setup.addresses.iter().any(IpAddr::is_ipv6) {
        true => "[::]",
        false => "0.0.0.0",
    };
    let ports = [
        ("smtp", 25),
        ("submission", 587),
        ("submissions", 465),
        ("imap", 143),
        ("imaps", 993),
        ("pop3s", 995),
        ("http", 80),
        ("https", 443),
    ];
    let listen = ports.map(|(protocol, port)| format!("{protocol} = \"{any}:{port}\"\n"));
    let data = setup.data.display().to_string();
    format!(
        "# Written by `mailserver setup {domain}`; mailserver.toml of the documentation describes every key.\n\
         hostname = \"{hostname}\"\ndata = {data:?}\ndomains = [\"{domain}\"]\n\n[listen]\n{}\n\
         # With it you agree to the terms of service of Let's Encrypt.\n\
         [acme]\ndirectory = \"https://acme-v02.api.letsencrypt.org/directory\"\n\
         contact = \"postmaster@{domain}\"\n\
         names = [\"{hostname}\", \"autoconfig.{domain}\", \"autodiscover.{domain}\", \"mta-sts.{domain}\"]\n\n\
         # \"enforce\" once the reports say that all is well.\n[mta_sts]\nmode = \"testing\"\n\n\
         # Whether mail from other servers is from whom it says it is.\n[checks]\n\n\
         [relay]\ntls_reports = \"postmaster@{domain}\"\n",
        listen.concat()
    )
}

/// What only people can do.
fn steps(file: &Path, hostname: &str, domain: &str, setup: &Setup) -> String {
    let addresses: Vec<_> = setup.addresses.iter().map(ToString::to_string).collect();
    let file = file.display();
    format!(
        "\n; What is left:\n\
         ; 1. Add these records where the zone of {domain} is kept.\n\
         ; 2. Have the reverse name of {} say {hostname}: whoever gives you the address does that.\n\
         ; 3. Type: mailserver --config {file} check\n\
         ; 4. Type: mailserver --config {file} account add you@{domain}\n\
         ; 5. Start the server: mailserver --config {file}\n",
        addresses.join(" and ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_domains() {
        for (text, expected) in [
            ("Example.ORG.", Some("example.org")),
            ("xn--bcher-kva.example", Some("xn--bcher-kva.example")),
            ("example", None),
            ("a b.test", None),
            ("[192.0.2.1]", None),
            ("a\".test", None),
            ("bücher.test", None),
            ("", None),
        ] {
            assert_eq!(name(text).ok().as_deref(), expected, "{text}");
        }
    }
}
