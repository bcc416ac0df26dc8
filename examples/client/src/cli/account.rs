//! `mailclient account`.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use hikyaku_wire::Secret;
use serde_json::json;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::str::FromStr;

use super::context::{Context, dial};
use hikyaku_client::Kind;
use hikyaku_client::{
    Account, Bodies, Deletion, Error, Fingerprint, Interval, Octets, Password, Result, Security,
    Server, Submission, Tcp, discover, imap, pop,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Adds an account; finds its servers unless --incoming and --outgoing name them.
    Add(Box<Add>),
    /// Lists all accounts.
    List,
    /// Shows the settings of an account.
    Show {
        /// Its address.
        address: String,
    },
    /// Removes an account and its mail from this device.
    Remove {
        /// Its address.
        address: String,
    },
    /// Tries to log in on both servers of an account.
    Test {
        /// Its address.
        address: String,
    },
    /// Trusts only the certificates with these fingerprints and those named before; without any, forgets them
    /// all and trusts the system's certificate authorities again.
    Trust {
        /// Its address.
        address: String,
        /// The fingerprints, as the error message names them: sha256:..
        fingerprints: Vec<Fingerprint>,
    },
    /// Changes the stored password; reads it from the terminal or the first line of standard input.
    Password {
        /// Its address.
        address: String,
    },
}

/// Takes one of these words, and names them in the help.
fn one_of<T>(words: impl IntoIterator<Item = &'static str>) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = String> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word| T::from_str(&word))
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// The address.
    address: String,
    /// POP downloads mail to this device and deletes it from the server; IMAP leaves it there for all
    /// devices.
    #[arg(long = "type", value_parser = one_of::<Kind>(["pop", "imap"]))]
    kind: Kind,
    /// Your name, shown beside the address in mail you send.
    #[arg(long)]
    name: Option<String>,
    /// The user name, if it is not the address.
    #[arg(long)]
    login: Option<String>,
    /// The incoming server (IMAP or POP).
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    incoming: Option<(String, u16)>,
    /// Encryption of the incoming server [default: by its port].
    #[arg(long, value_parser = one_of::<Security>(["tls", "starttls", "none"]))]
    incoming_security: Option<Security>,
    /// The outgoing server (SMTP submission).
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    outgoing: Option<(String, u16)>,
    /// Encryption of the outgoing server [default: by its port].
    #[arg(long, value_parser = one_of::<Security>(["tls", "starttls", "none"]))]
    outgoing_security: Option<Security>,
    /// A PEM file of certificates to trust besides the system's: of an authority, or the server's own.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Trusts only the certificate with this fingerprint; give one for each server.
    #[arg(long, value_name = "SHA256:..")]
    fingerprint: Vec<Fingerprint>,
    /// Leaves larger messages on the server, such as 500K, 256M or 1G.
    #[arg(long, default_value = "256M")]
    largest_message: Octets,
    /// A command that prints the password, instead of the system's keyring.
    #[arg(long, value_name = "COMMAND", conflicts_with = "password_in_clear")]
    password_command: Option<String>,
    /// Stores the password unencrypted in accounts.toml.
    #[arg(long)]
    password_in_clear: bool,
    /// POP: when to delete from the server: at-once, after-N-days, when-deleted-here or never.
    #[arg(long, default_value = "at-once")]
    delete: Deletion,
    /// IMAP: which whole messages a sync downloads: headers (none), recent-N-days or all.
    #[arg(long, default_value = "all")]
    bodies: Bodies,
    /// The time between two syncs of `watch`, such as 90s, 10m or 1h.
    #[arg(long, default_value = "10m")]
    interval: Interval,
    /// Adds the account without trying to log in.
    #[arg(long)]
    no_test: bool,
}

fn host_and_port(text: &str) -> std::result::Result<(String, u16), String> {
    let wanted = || "write it as HOST:PORT, such as mail.example.org:993".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(wanted)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok((host.to_owned(), port.parse().map_err(|_| wanted())?))
}

/// Returns the encryption that is usual on a port.
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
                "{} and its mail are removed from this device",
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
            "{address}: trusts the system's certificate authorities"
        )),
        _ => context.say(format_args!(
            "{address}: trusts {count} certificate(s) and no other; `mailclient account test {address}` tries the login"
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
                "the password of {address} is what `{line}` prints: change it there"
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
        "the password of {address} is stored; `mailclient account test {address}` tries the login"
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
        Password::InClear(_) => "unencrypted in accounts.toml".to_owned(),
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
        Kind::Pop => context.say(format_args!("deletes from the server: {}", account.delete)),
        Kind::Imap => context.say(format_args!("brings bodies: {}", account.bodies)),
    }
}

async fn add(context: &mut Context<'_>, add: Add) -> Result<()> {
    if context.config.account(Some(&add.address)).is_ok() {
        return Err(Error::Usage(format!(
            "the account {0} already exists: `mailclient account show {0}` shows it, `mailclient account remove {0}` removes it",
            add.address
        )));
    }
    match hikyaku_client::compose::recipients(&add.address).as_deref() {
        Ok([one]) if *one == add.address => {}
        _ => {
            let text = add.address.clone();
            let why = hikyaku_client::compose::NotAnAddress { text };
            return Err(Error::Usage(format!(
                "{why}: write the address of the account, such as name@example.org"
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
            let web = hikyaku_client::Web { ca: add.ca.clone() };
            let found = discover(&tcp, &web, &add.address, add.kind).await?;
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

/// Reads the password from the terminal without an echo, or from the first line of standard input.
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
            "type it on a terminal, or give it as the first line of standard input".into(),
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
