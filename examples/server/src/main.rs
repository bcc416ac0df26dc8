//! The program `mailserver`.

mod address_command;
mod doctor_command;
mod queue_command;

use clap::{Parser, Subcommand};
use mailserver::control::{Request, perform};
use mailserver::trace::{Query, report};
use mailserver::{
    Config, Protocol, Server, Setup, Size, Span, TlsCertificate, check, dmarc_table,
    drop_privileges, generated_password, hint, new_dkim_key, setup,
};
use queue_command::Queue;
use sd_notify::NotifyState;
use std::io::{IsTerminal as _, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A mail server: SMTP, submission, LMTP, POP3, IMAP and a webmail.
///
/// Without arguments it keeps everything in ./mailserver-data, creates a certificate and two demo
/// accounts, and listens on 127.0.0.1 only, on each protocol's port + 2000.
#[derive(Debug, Parser)]
#[command(name = "mailserver", version)]
struct Arguments {
    /// The configuration file; examples/server/mailserver.toml describes every key.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Manages accounts, even while the server is running.
    #[command(subcommand)]
    Account(Account),
    /// Manages aliases and mailing lists, even while the server is running.
    #[command(subcommand)]
    Alias(address_command::Alias),
    /// Manages the domains whose mail is delivered here, even while the server is running.
    #[command(subcommand)]
    Domain(address_command::Domain),
    /// Manages the addresses that accounts may write as, even while the server is running.
    #[command(subcommand)]
    Identity(address_command::Identity),
    /// Manages where the mail of accounts is passed on to, even while the server is running.
    #[command(subcommand)]
    Forward(address_command::Forward),
    /// Looks at the messages that wait to be handed on, and changes what becomes of them, even while the server is running.
    #[command(subcommand)]
    Queue(Queue),
    /// Shows what became of messages: who sent them, who was accepted and refused, each attempt, and how it ended.
    Trace {
        /// The ID of a message, as in `queue list`, in its Received field and in the reply to its sender; or the address of
        /// a sender, a recipient or a login.
        #[arg(value_name = "ID|ADDRESS")]
        what: String,
        /// How far back to look, such as "2h" or "3d"; all that is kept by default.
        #[arg(long, value_name = "TIME")]
        since: Option<Span>,
        /// Shows no more than this many messages: the last ones.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
        /// Prints the records of the log, one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Sets a domain up: writes the configuration, makes the keys, and prints the records of its zone and what is left to do.
    Setup {
        /// The domain that is to have mail, such as example.org.
        domain: String,
        /// The server's name; "mail." and the domain by default.
        #[arg(long, value_name = "NAME")]
        hostname: Option<String>,
        /// An address of the server, as the world sees it; once for each.
        #[arg(long = "address", value_name = "ADDRESS")]
        addresses: Vec<IpAddr>,
        /// The folder for mail, accounts, queue and keys.
        #[arg(long, value_name = "FOLDER", default_value = "mailserver-data")]
        data: PathBuf,
        /// A certificate that is there, for all names of the server: a PEM file. Let's Encrypt's if left out.
        #[arg(long, value_name = "FILE", requires = "key")]
        cert: Option<PathBuf>,
        /// The key of that certificate: a PEM file.
        #[arg(long, value_name = "FILE", requires = "cert")]
        key: Option<PathBuf>,
        /// The user that the server becomes, where root starts it: "mailserver" of the Debian package.
        #[arg(long, value_name = "USER")]
        user: Option<String>,
    },
    /// Looks at what the world sees of the server and its domains, and says what to type where it is wrong: DNS, reverse
    /// names, ports, certificates, clock, blocklists. Exits with 0 if nothing is wrong, 1 if something is, 2 if not all
    /// could be looked at.
    Doctor {
        /// One domain only, such as example.org; it need not be in the configuration.
        domain: Option<String>,
        /// A DNS server to ask, in place of those of the configuration or the system; once for each.
        #[arg(long = "dns", value_name = "ADDRESS:PORT")]
        dns: Vec<String>,
    },
    /// Makes a key that signs what accounts send (DKIM), and prints its DNS record and its lines of the configuration.
    Dkim {
        /// The domain of the authors, such as example.org.
        domain: String,
        /// The name of the key, a new one for each, such as 2026a.
        selector: String,
        /// Makes one for RSA, which all servers verify, in place of Ed25519.
        #[arg(long)]
        rsa: bool,
    },
    /// Sums up what other servers report about mail in the name of the domains here (DMARC): a line for each address that it
    /// came from, with how many messages passed SPF and DKIM for the domain, and what became of them.
    Dmarc {
        /// One domain; all by default.
        #[arg(long, value_name = "DOMAIN")]
        domain: Option<String>,
        /// How far back to look.
        #[arg(long, value_name = "N", default_value_t = 7)]
        days: u32,
    },
    /// Checks the configuration and everything a start needs; prints each problem with its remedy.
    Check,
}

#[derive(Debug, Subcommand)]
enum Account {
    /// Adds an account; reads its password from one line of standard input, or generates one on a terminal.
    Add {
        /// The address, such as alice@example.org.
        address: String,
    },
    /// Lists all accounts with what they hold and their quota.
    List,
    /// Changes the password of an account; reads or generates it as `add` does.
    Passwd {
        /// The address of the account.
        address: String,
    },
    /// Removes an account and all its mail.
    Remove {
        /// The address of the account.
        address: String,
        /// Removes it without asking.
        #[arg(long)]
        yes: bool,
    },
    /// Sets the quota of an account.
    Quota {
        /// The address of the account.
        address: String,
        /// The quota, such as "2 GiB".
        size: Size,
    },
    /// Sets to how many recipients a day an account may send, in place of what the configuration says.
    Sending {
        /// The address of the account.
        address: String,
        /// The number, 0 for no limit; without it the configuration says so again.
        recipients: Option<u32>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Mail and keys are this user's alone, whatever the umask is.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    // Of a diagnosis 1 says that there are faults.
    let failed = match arguments.action {
        Some(Action::Doctor { .. }) => ExitCode::from(2),
        _ => ExitCode::FAILURE,
    };
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(arguments)),
        Err(error) => Err(error.to_string()),
    };
    done.unwrap_or_else(|error| {
        eprintln!("mailserver: {error}");
        failed
    })
}

async fn run(arguments: Arguments) -> Result<ExitCode, String> {
    match arguments.action {
        Some(Action::Doctor { domain, dns }) => {
            let config = configured(arguments.config.as_deref())?;
            doctor_command::run(&config, arguments.config.as_deref(), domain, dns).await
        }
        _ => act(arguments).await.map(|()| ExitCode::SUCCESS),
    }
}

fn configured(file: Option<&Path>) -> Result<Config, String> {
    match file {
        Some(path) => Config::read(path).map_err(|error| error.to_string()),
        None => Ok(Config::quickstart()),
    }
}

async fn act(arguments: Arguments) -> Result<(), String> {
    let quickstart = arguments.config.is_none();
    if let Some(Action::Setup {
        domain,
        hostname,
        addresses,
        data,
        cert,
        key,
        user,
    }) = arguments.action
    {
        let file = arguments.config.unwrap_or_else(|| "mailserver.toml".into());
        let addresses = match addresses.is_empty() {
            true => asked_addresses()?,
            false => addresses,
        };
        let wanted = Setup {
            domain,
            hostname,
            addresses,
            data,
            certificate: cert
                .zip(key)
                .map(|(cert, key)| TlsCertificate::new(cert, key)),
            user,
        };
        let done = setup(&file, &wanted).map_err(|error| error.to_string())?;
        return queue_command::print(done.as_bytes());
    }
    let config = configured(arguments.config.as_deref())?;
    // What the server is to read is made by the server's user.
    if !matches!(arguments.action, None | Some(Action::Check)) {
        drop_privileges(&config.run, &config.data).map_err(|error| error.to_string())?;
    }
    match arguments.action {
        None => serve(config, quickstart).await,
        // Done above.
        Some(Action::Setup { .. } | Action::Doctor { .. }) => Ok(()),
        Some(Action::Dkim {
            domain,
            selector,
            rsa,
        }) => {
            let made = new_dkim_key(&config, &domain, &selector, rsa);
            let made = made.map_err(|error| error.to_string())?;
            queue_command::print(made.as_bytes())
        }
        Some(Action::Dmarc { domain, days }) => dmarc(&config, domain.as_deref(), days),
        Some(Action::Check) => say_what_is_wrong(&config).await,
        Some(Action::Account(account)) => manage(&config, account).await,
        Some(Action::Alias(alias)) => address_command::run(&config, alias.into()).await,
        Some(Action::Domain(domain)) => address_command::run(&config, domain.into()).await,
        Some(Action::Identity(one)) => address_command::run(&config, one.into()).await,
        Some(Action::Forward(forward)) => address_command::run(&config, forward.into()).await,
        Some(Action::Queue(queue)) => queue_command::run(&config, queue).await,
        Some(Action::Trace {
            what,
            since,
            limit,
            json,
        }) => {
            let since = since.unwrap_or(config.trace.keep).0;
            let query = Query {
                what,
                since,
                limit,
                json,
            };
            trace(&config, &query)
        }
    }
}

/// Asks for the server's addresses, where somebody is there to answer.
fn asked_addresses() -> Result<Vec<IpAddr>, String> {
    if !std::io::stdin().is_terminal() {
        return Ok(Vec::new());
    }
    eprint!("The server's public addresses (IPv4, IPv6), with a blank between them: ");
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .map_err(|error| error.to_string())?;
    let address = |text: &str| {
        text.parse()
            .map_err(|_| format!("{text} is not an address"))
    };
    line.split_whitespace().map(address).collect()
}

fn trace(config: &Config, query: &Query) -> Result<(), String> {
    let report = report(&config.data, query).map_err(|error| error.to_string())?;
    match report.is_empty() {
        false => queue_command::print(report.as_bytes()),
        true if config.trace.keep.0.is_zero() => Err("[trace] keep is 0: nothing is traced".into()),
        true => Err(format!("nothing is known of {}", query.what)),
    }
}

fn dmarc(config: &Config, domain: Option<&str>, days: u32) -> Result<(), String> {
    let table = dmarc_table(&config.data, domain, days, hikyaku_mailstore::unix_now());
    let table = table.map_err(|error| format!("{}: {error}", config.data.display()))?;
    match table.is_empty() {
        false => queue_command::print(table.as_bytes()),
        true => Err(format!(
            "no reports of the last {days} days: they come to the address of rua= in the DMARC record, if it is here"
        )),
    }
}

async fn say_what_is_wrong(config: &Config) -> Result<(), String> {
    let found = check(config).await;
    for warning in &found.warnings {
        eprintln!("warning: {warning}");
    }
    if !found.problems.is_empty() {
        return Err(found.problems.join("\nmailserver: "));
    }
    println!("The configuration is fine.");
    if found.running {
        println!("A server runs with it, so its ports and its store were not tried.");
    }
    Ok(())
}

async fn manage(config: &Config, account: Account) -> Result<(), String> {
    let request = match account {
        Account::Add { address } => {
            let password = password(&address)?;
            Request::Add { address, password }
        }
        Account::Passwd { address } => {
            let password = password(&address)?;
            Request::Password { address, password }
        }
        Account::Remove { address, yes } => {
            if !yes {
                ask(config, &address).await?;
            }
            Request::Remove(address)
        }
        Account::Quota { address, size } => Request::Quota(address, size),
        Account::Sending {
            address,
            recipients,
        } => Request::Sending(address, recipients),
        Account::List => Request::List,
    };
    let text = perform(config, &request)
        .await
        .map_err(|error| error.to_string())?;
    print!("{text}");
    Ok(())
}

/// Reads a password from one line of standard input; on a terminal, generates and prints one.
fn password(address: &str) -> Result<String, String> {
    let input = std::io::stdin();
    if input.is_terminal() {
        let password = generated_password();
        println!("password: {password}");
        return Ok(password);
    }
    let mut line = String::new();
    input
        .read_line(&mut line)
        .map_err(|error| error.to_string())?;
    let password = line.trim_end_matches(['\r', '\n']).to_owned();
    if let Some(hint) = hint(address, &password).filter(|_| !password.is_empty()) {
        eprintln!("hint: {hint}");
    }
    Ok(password)
}

/// Asks before an account is removed, and says what is lost with it.
async fn ask(config: &Config, address: &str) -> Result<(), String> {
    let holds = perform(config, &Request::Holds(address.to_owned())).await;
    let holds = holds.map_err(|error| error.to_string())?;
    let holds = holds.trim_end();
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(format!(
            "{address} holds {holds}, and without a terminal nobody can confirm: give --yes to remove it all"
        ));
    }
    say(&format!(
        "{address} holds {holds}. All of it will be lost. Type \"yes\" to remove it: "
    ));
    let mut line = String::new();
    input
        .read_line(&mut line)
        .map_err(|error| error.to_string())?;
    match line.trim() {
        "yes" => Ok(()),
        _ => Err("nothing was removed".into()),
    }
}

async fn serve(config: Config, quickstart: bool) -> Result<(), String> {
    use tokio::signal::unix::{SignalKind, signal};
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_max_level(if quickstart {
            tracing::Level::WARN
        } else {
            tracing::Level::INFO
        })
        .init();
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut hangup = signal(SignalKind::hangup()).map_err(|error| error.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let data = config.data.clone();
    let hostname = config.hostname.clone();
    let server = Server::start(config)
        .await
        .map_err(|error| error.to_string())?;
    if quickstart {
        let page = welcome(&server, &data).await?;
        say(&page);
    } else {
        let mut page = format!("{hostname} is ready:\n");
        for (service, address) in server.addresses() {
            page += &format!("  {service:?} {address}\n");
        }
        say(&page);
    }
    notify(&[NotifyState::Ready]);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                if let Ok(now) = NotifyState::monotonic_usec_now() {
                    notify(&[NotifyState::Reloading, now]);
                }
                // What cannot be used is in the log, and nothing has changed.
                let _ = server.reload();
                notify(&[NotifyState::Ready]);
            }
        }
    }
    notify(&[NotifyState::Stopping]);
    say("Stopping.\n");
    server.stop().await;
    Ok(())
}

/// Reports to systemd, if it has started the server (sd_notify(3)).
fn notify(states: &[NotifyState<'_>]) {
    // Whoever does not listen misses nothing that is not in the log.
    let _ = sd_notify::notify(states);
}

/// Prints; continues when nobody reads it any more.
fn say(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
}

/// Creates the demo accounts at the first start and returns the welcome text; their passwords are stored
/// beside the mail.
async fn welcome(server: &Server, data: &std::path::Path) -> Result<String, String> {
    let file = data.join("demo-accounts.txt");
    let accounts = server.accounts();
    let known = accounts.list().await.map_err(|error| error.to_string())?;
    if known.is_empty() {
        let mut text = String::new();
        for address in ["alice@example.test", "bob@example.test"] {
            let password = generated_password();
            accounts
                .add(address, &password)
                .await
                .map_err(|error| error.to_string())?;
            text += &format!("{address}  {password}\n");
        }
        write_secret(&file, &text).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let demo = std::fs::read_to_string(&file).unwrap_or_default();
    let at = |service: Protocol| server.address(service).map_or(0, |address| address.port());
    let demo: String = demo.lines().map(|line| format!("    {line}\n")).collect();
    Ok(format!(
        "\nThe mail server is ready, on 127.0.0.1 only.\n\n\
         In the browser: https://localhost:{https}/ (the browser warns about the certificate, which this server signed itself)\n\
         Demo accounts (address, password; also in {file}):\n{demo}\n\
         In a mail program: server 127.0.0.1, user name = the address\n\
         \x20   IMAP   port {imaps} (TLS) or {imap} (STARTTLS)\n\
         \x20   POP3   port {pop3s} (TLS) or {pop3} (STARTTLS)\n\
         \x20   SMTP   port {submissions} (TLS) or {submission} (STARTTLS), with the same password\n\
         Incoming mail from other servers: SMTP port {smtp}, LMTP {lmtp}\n\
         The certificate is signed by a private authority, which mail programs can trust: {ca}\n\n\
         More accounts: mailserver account add carol@example.test\n\
         Ctrl-C stops the server; the next start uses the same accounts and mail.\n",
        file = file.display(),
        https = at(Protocol::Https),
        imaps = at(Protocol::Imaps),
        imap = at(Protocol::Imap),
        pop3s = at(Protocol::Pop3s),
        pop3 = at(Protocol::Pop3),
        submissions = at(Protocol::Submissions),
        submission = at(Protocol::Submission),
        smtp = at(Protocol::Smtp),
        lmtp = match at(Protocol::Lmtp) {
            0 => "off, because another program has its port".into(),
            port => format!("port {port}"),
        },
        ca = data.join("tls/ca.pem").display(),
    ))
}

fn write_secret(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
