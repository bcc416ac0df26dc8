//! `mailclient account`.

use clap::{Args, Subcommand};
use hikyaku_wire::Secret;
use serde_json::json;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use super::{Context, Kind, dial};
use crate::{
    Account, Bodies, Deletion, Error, Fingerprint, Interval, Octets, Password, Result, Security,
    Server, Submission, Tcp, discover, imap, pop,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Adds an account; its servers are looked for when they are not named.
    Add(Box<Add>),
    /// All accounts.
    List,
    /// All about one account.
    Show {
        /// Its address.
        address: String,
    },
    /// Removes an account from this device, with the mail that is here.
    Remove {
        /// Its address.
        address: String,
    },
    /// Tries to log in.
    Test {
        /// Its address.
        address: String,
    },
    /// Trusts exactly the certificates of these fingerprints, besides those that were named before; without any,
    /// certificates are judged by who issued them again.
    Trust {
        /// Its address.
        address: String,
        /// As the error names them: sha256:..
        fingerprints: Vec<Fingerprint>,
    },
    /// Takes another password, from the terminal or the first line of standard input.
    Password {
        /// Its address.
        address: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// The address.
    address: String,
    /// POP: mail is here and nowhere else. IMAP: mail stays on the server for all devices.
    #[arg(long = "type", value_enum)]
    kind: Kind,
    /// The name that stands beside the address.
    #[arg(long)]
    name: Option<String>,
    /// The name to log in with, when it is not the address.
    #[arg(long)]
    login: Option<String>,
    /// Where mail comes from: HOST:PORT.
    #[arg(long, value_parser = host_and_port)]
    incoming: Option<(String, u16)>,
    #[arg(long, value_enum)]
    incoming_security: Option<Security>,
    /// Where mail goes: HOST:PORT.
    #[arg(long, value_parser = host_and_port)]
    outgoing: Option<(String, u16)>,
    #[arg(long, value_enum)]
    outgoing_security: Option<Security>,
    /// Certificates to trust besides the system's, a PEM file: an authority's, or the server's own.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Trusts exactly the certificate of that fingerprint, and no other; once for each server's.
    #[arg(long, value_name = "SHA256:..")]
    fingerprint: Vec<Fingerprint>,
    /// Messages of more octets stay on the server: 500K, 256M, 1G.
    #[arg(long, default_value = "256M")]
    largest_message: Octets,
    /// A command that prints the password, instead of the system's keyring.
    #[arg(long, value_name = "COMMAND", conflicts_with = "password_in_clear")]
    password_command: Option<String>,
    /// Keeps the password readable in the accounts' file.
    #[arg(long)]
    password_in_clear: bool,
    /// POP: at-once, after-N-days, when-deleted-here, never.
    #[arg(long, default_value = "at-once")]
    delete: Deletion,
    /// IMAP: which bodies a sync brings: headers, recent-N-days, all.
    #[arg(long, default_value = "all")]
    bodies: Bodies,
    /// The time between the polls of `watch`: 90s, 10m, 1h.
    #[arg(long, default_value = "10m")]
    interval: Interval,
    /// Does not try to log in.
    #[arg(long)]
    no_test: bool,
}

fn host_and_port(text: &str) -> std::result::Result<(String, u16), String> {
    let wanted = || "write it as HOST:PORT, such as mail.example.org:993".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(wanted)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok((host.to_owned(), port.parse().map_err(|_| wanted())?))
}

/// What a port means by custom, when nothing else is said.
fn security(port: u16) -> Security {
    match port {
        110 | 143 | 587 | 25 => Security::StartTls,
        _ => Security::Tls,
    }
}

pub(super) async fn run(context: &mut Context<'_>, command: Command) -> Result<()> {
    match command {
        Command::Add(add) => self::add(context, *add).await,
        Command::List => {
            let items = context.config.accounts.iter().map(|account| {
                let kind = kind(account);
                let value = json!({"address": account.address, "type": kind});
                (
                    value,
                    format!("{}  {kind}  {}", account.address, account.incoming),
                )
            });
            let items = items.collect();
            context.list(items)
        }
        Command::Show { address } => {
            let account = context.config.account(Some(&address))?.clone();
            show(context, &account)
        }
        Command::Remove { address } => {
            let account = context.config.account(Some(&address))?.clone();
            let local = context.local(&account).await?;
            local.remove().await?;
            context
                .config
                .accounts
                .retain(|one| one.address != account.address);
            context.config.save(&context.folder)?;
            if account.password == Password::Keyring {
                Password::forget(&account.address).await;
            }
            context.say(format_args!(
                "{} is removed from this device",
                account.address
            ))
        }
        Command::Test { address } => {
            let account = context.config.account(Some(&address))?.clone();
            test(&account).await?;
            context.say(format_args!("{}: both logins work", account.address))
        }
        Command::Trust {
            address,
            fingerprints,
        } => trust(context, &address, &fingerprints),
        Command::Password { address } => password(context, &address).await,
    }
}

fn trust(context: &mut Context<'_>, address: &str, fingerprints: &[Fingerprint]) -> Result<()> {
    let address = context.config.account(Some(address))?.address.clone();
    let mut accounts = context.config.accounts.iter_mut();
    let Some(account) = accounts.find(|one| one.address == address) else {
        return Ok(());
    };
    let trusted = &mut account.fingerprint;
    if fingerprints.is_empty() {
        trusted.clear();
    }
    for one in fingerprints {
        if !trusted.contains(one) {
            trusted.push(*one);
        }
    }
    let count = trusted.len();
    context.config.save(&context.folder)?;
    match count {
        0 => context.say(format_args!(
            "{address}: certificates are judged by who issued them"
        )),
        _ => context.say(format_args!(
            "{address}: {count} certificate(s) are trusted, and no other; `mailclient account test {address}` tries them"
        )),
    }
}

async fn password(context: &mut Context<'_>, address: &str) -> Result<()> {
    let address = context.config.account(Some(address))?.address.clone();
    let mut accounts = context.config.accounts.iter_mut();
    let Some(account) = accounts.find(|one| one.address == address) else {
        return Ok(());
    };
    match &mut account.password {
        Password::Command(line) => {
            return Err(Error::Usage(format!(
                "the password of {address} comes from `{line}`: change it there"
            )));
        }
        Password::Keyring => Password::keep(&address, &ask_password(&address)?).await?,
        Password::InClear(kept) => {
            let asked = ask_password(&address)?;
            *kept = String::from_utf8_lossy(asked.expose()).into_owned();
            context.config.save(&context.folder)?;
        }
    }
    context.say(format_args!(
        "the password of {address} is kept; `mailclient account test {address}` tries it"
    ))
}

fn kind(account: &Account) -> &'static str {
    match account.kind {
        Kind::Pop => "pop",
        Kind::Imap => "imap",
    }
}

fn show(context: &mut Context<'_>, account: &Account) -> Result<()> {
    let password = match &account.password {
        Password::Keyring => "in the system's keyring".to_owned(),
        Password::Command(line) => format!("from `{line}`"),
        Password::InClear(_) => "in clear in accounts.toml".to_owned(),
    };
    if context.json {
        let value = json!({
            "address": account.address, "name": account.name, "login": account.login(), "type": kind(account),
            "incoming": account.incoming.to_string(), "outgoing": account.outgoing.to_string(),
            "password": password, "interval": account.interval,
            "delete": account.delete, "bodies": account.bodies,
            "fingerprint": account.fingerprint, "largest_message": account.largest_message,
        });
        return context.say(value);
    }
    context.say(format_args!("{}", account.address))?;
    context.say(account.kind.meaning())?;
    context.say(format_args!("incoming  {}", account.incoming))?;
    context.say(format_args!("outgoing  {}", account.outgoing))?;
    context.say(format_args!(
        "login     {}, password {password}",
        account.login()
    ))?;
    for one in &account.fingerprint {
        context.say(format_args!("trusts    {one}"))?;
    }
    match account.kind {
        Kind::Pop => context.say(format_args!(
            "deletes from the server: {:?}",
            account.delete
        )),
        Kind::Imap => context.say(format_args!("brings bodies: {:?}", account.bodies)),
    }
}

async fn add(context: &mut Context<'_>, add: Add) -> Result<()> {
    if context.config.account(Some(&add.address)).is_ok() {
        return Err(Error::Usage(format!(
            "{} is there already: `mailclient account show` shows it, `remove` removes it",
            add.address
        )));
    }
    match crate::compose::recipients(&add.address).as_deref() {
        Ok([one]) if *one == add.address => {}
        _ => {
            let text = add.address.clone();
            let why = crate::compose::NotAnAddress { text };
            return Err(Error::Usage(format!(
                "{why}: an account is named by its address, as name@example.org"
            )));
        }
    }
    context.say(add.kind.meaning())?;
    let given = |server: &Option<(String, u16)>, said: Option<Security>| {
        server.clone().map(|(host, port)| {
            let security = said.unwrap_or_else(|| security(port));
            Server {
                host,
                port,
                security,
            }
        })
    };
    let incoming = given(&add.incoming, add.incoming_security);
    let outgoing = given(&add.outgoing, add.outgoing_security);
    let (incoming, outgoing, found) = match (incoming, outgoing) {
        (Some(incoming), Some(outgoing)) => (incoming, outgoing, None),
        (incoming, outgoing) => {
            let tcp = Tcp {
                ca: add.ca.clone(),
                fingerprints: add.fingerprint.clone(),
                ..Tcp::default()
            };
            let found = discover(&tcp, &crate::Web, &add.address, add.kind).await?;
            (
                incoming.unwrap_or(found.incoming),
                outgoing.unwrap_or(found.outgoing),
                found.login,
            )
        }
    };
    context.say(format_args!("incoming  {incoming}"))?;
    context.say(format_args!("outgoing  {outgoing}"))?;
    let password = match (&add.password_command, add.password_in_clear) {
        (Some(line), _) => Password::Command(line.clone()),
        (None, true) => {
            let asked = ask_password(&add.address)?;
            Password::InClear(String::from_utf8_lossy(asked.expose()).into_owned())
        }
        (None, false) => Password::Keyring,
    };
    let mut account = Account {
        address: add.address,
        name: add.name,
        login: add.login.or(found),
        kind: add.kind,
        incoming,
        outgoing,
        password,
        ca: add.ca,
        fingerprint: add.fingerprint,
        largest_message: add.largest_message,
        delete: add.delete,
        bodies: add.bodies,
        interval: add.interval,
    };
    if let Some(ca) = &account.ca {
        account.ca = std::fs::canonicalize(ca).ok().or(account.ca);
    }
    if account.password == Password::Keyring {
        let asked = ask_password(&account.address)?;
        Password::keep(&account.address, &asked).await?;
    }
    if !add.no_test {
        test(&account).await?;
        context.say("both logins work")?;
    }
    context.config.accounts.push(account);
    context.config.save(&context.folder)
}

/// The password, from the terminal without an echo, or the first line of standard input.
fn ask_password(address: &str) -> Result<Secret> {
    let wrong = |error: std::io::Error| Error::Password(error.to_string());
    if std::io::stdin().is_terminal() {
        let typed =
            rpassword::prompt_password(format!("Password of {address}: ")).map_err(wrong)?;
        return Ok(Secret::from(typed.into_bytes()));
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(wrong)?;
    let line = line.trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        return Err(Error::Password(
            "it is typed on a terminal, or is the first line of standard input".into(),
        ));
    }
    Ok(Secret::from(line.as_bytes().to_vec()))
}

/// Logs in on both servers.
async fn test(account: &Account) -> Result<()> {
    let dial = dial(account);
    let password = account.password.get(&account.address).await?;
    let again = account.password.get(&account.address).await?;
    match account.kind {
        Kind::Pop => {
            drop(pop::Session::open(&dial, &account.incoming, account.login(), password).await?);
        }
        Kind::Imap => {
            let session = imap::Session::open(&dial, &account.incoming, account.login(), password);
            session.await?.log_out().await;
        }
    }
    let session = Submission::open(&dial, &account.outgoing, account.login(), again).await?;
    session.quit().await;
    Ok(())
}
