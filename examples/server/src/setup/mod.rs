//! `mailserver setup`: the configuration of a domain, its keys, and the records of its zone.

mod owned;
pub(crate) mod zone;

use hikyaku_smtp_proto::Mailbox;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use webmail::{Certificate, CertificateError};

use crate::association;
use crate::config::{Config, ConfigError, TlsCertificate};
use crate::examine::{DkimError, made};
use crate::privileges::{PrivilegesError, owner};
use zone::Zone;

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
    /// A certificate that is there, in place of those of an ACME server.
    pub certificate: Option<TlsCertificate>,
    /// The user that the server becomes, where root starts it: keys are that user's, and it can read the configuration.
    pub user: Option<String>,
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
    /// The certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// What was written.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The keys.
    #[error(transparent)]
    Dkim(#[from] DkimError),
    /// The user.
    #[error(transparent)]
    User(#[from] PrivilegesError),
    /// The keys cannot be given to that user.
    #[error("{0}: it cannot become that of the server's user: {1}")]
    Owner(String, io::Error),
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
    let tlsa = association(setup)?;
    let text = configuration(&hostname, &domain, setup);
    let config = Config::parse(&text)?;
    let owner = owner(&config.run)?;
    // Everybody verifies RSA, and Ed25519 is there for those who do.
    let mut keys = Vec::new();
    for (selector, rsa) in [("r1", true), ("e1", false)] {
        keys.push(made(&config, &domain, selector, rsa)?);
    }
    let lines = keys.iter().map(|key| format!("\n{}", key.configuration));
    let text = text + &lines.collect::<String>();
    if let Some(owner) = owner {
        owned::keys(&config.data, owner)
            .map_err(|(path, error)| SetupError::Owner(path.display().to_string(), error))?;
    }
    let write = || -> io::Result<()> {
        let mut file = std::fs::File::create_new(file)?;
        file.write_all(text.as_bytes())?;
        if let Some((_, group)) = owner {
            owned::configuration(&file, group)?;
        }
        file.sync_all()
    };
    write().map_err(failed)?;
    let zone = Zone {
        hostname: &hostname,
        domain: &domain,
    };
    let keys: Vec<_> = keys.into_iter().map(|key| key.record).collect();
    let records = zone.all(&setup.addresses, &keys, tlsa.as_deref());
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
    let run = setup.user.as_ref().map(|user| {
        format!("# Who the server is, once its ports are open.\n[run]\nuser = {user:?}\n\n")
    });
    let addresses = setup.addresses.iter().map(|one| format!("\"{one}\""));
    let addresses: Vec<_> = addresses.collect();
    format!(
        "# Written by `mailserver setup {domain}`; mailserver.toml of the documentation describes every key.\n\
         hostname = \"{hostname}\"\ndata = {data:?}\ndomains = [\"{domain}\"]\n\n{}[listen]\n{}\n\
         {}\n\
         # \"enforce\" once the reports say that all is well.\n[mta_sts]\nmode = \"testing\"\n\n\
         # Whether mail from other servers is from whom it says it is.\n[checks]\n\n\
         [relay]\ntls_reports = \"postmaster@{domain}\"\n\n\
         # As the world sees the server.\n[doctor]\naddresses = [{}]\n",
        run.unwrap_or_default(),
        listen.concat(),
        certificates(hostname, domain, setup),
        addresses.join(", ")
    )
}

/// Where certificates come from.
fn certificates(hostname: &str, domain: &str, setup: &Setup) -> String {
    match &setup.certificate {
        Some(TlsCertificate { cert, key }) => format!(
            "[tls]\ncert = {:?}\nkey = {:?}\n",
            cert.display().to_string(),
            key.display().to_string()
        ),
        None => format!(
            "# With it you agree to the terms of service of Let's Encrypt.\n\
             [acme]\ndirectory = \"https://acme-v02.api.letsencrypt.org/directory\"\n\
             contact = \"postmaster@{domain}\"\n\
             names = [\"{hostname}\", \"autoconfig.{domain}\", \"autodiscover.{domain}\", \"mta-sts.{domain}\"]\n"
        ),
    }
}

/// What the TLSA record has: the key of a certificate that is there.
fn association(setup: &Setup) -> Result<Option<String>, SetupError> {
    let Some(TlsCertificate { cert, key }) = &setup.certificate else {
        return Ok(None);
    };
    Certificate::load(cert, key)?;
    let leaf = CertificateDer::from_pem_file(cert).ok();
    let tlsa = leaf.and_then(|leaf| association::of(&leaf));
    Ok(tlsa.map(|tlsa| tlsa.to_string()))
}

/// What only people can do.
fn steps(file: &Path, hostname: &str, domain: &str, setup: &Setup) -> String {
    let addresses: Vec<_> = setup.addresses.iter().map(ToString::to_string).collect();
    let file = file.display();
    let start = match setup.user {
        Some(_) => "systemctl start mailserver".to_owned(),
        None => format!("mailserver --config {file}"),
    };
    format!(
        "\n; What is left:\n\
         ; 1. Add these records where the zone of {domain} is kept.\n\
         ; 2. Have the reverse name of {} say {hostname}: whoever gives you the address does that.\n\
         ; 3. Type: mailserver --config {file} check\n\
         ; 4. Type: mailserver --config {file} account add you@{domain}\n\
         ; 5. Start the server: {start}\n\
         ; 6. See what the world sees: mailserver --config {file} doctor\n",
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
