//! The program `mailserver`.

use clap::{Parser, Subcommand};
use hikyaku_server::control::{Request, perform};
use hikyaku_server::{Config, Server, Service, Size, check, generated_password, hint};
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// A mail server: SMTP, submission, LMTP, POP3 and IMAP.
///
/// Without arguments it keeps everything in ./mailserver-data, makes a certificate and two demo
/// accounts, and listens on 127.0.0.1 only, on each protocol's port + 2000.
#[derive(Debug, Parser)]
#[command(name = "mailserver", version)]
struct Arguments {
    /// The configuration; examples/server/mailserver.toml describes every key.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Manages accounts, also while the server runs.
    #[command(subcommand)]
    Account(Account),
    /// Says what is wrong with the configuration, and with what a start needs: with line and remedy.
    Check,
}

#[derive(Debug, Subcommand)]
enum Account {
    /// Adds an account; its password is one line on standard input, or is made up on a terminal.
    Add {
        /// Such as alice@example.org.
        address: String,
    },
    /// Lists all accounts, what they hold and may hold.
    List,
    /// Gives an account another password, as with `add`.
    Passwd {
        /// Which.
        address: String,
    },
    /// Removes an account and all its mail.
    Remove {
        /// Which.
        address: String,
        /// Does not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Sets what an account may hold.
    Quota {
        /// Which.
        address: String,
        /// Such as "2 GiB".
        size: Size,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Mail and keys are this user's alone, whatever the umask is.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(arguments)),
        Err(error) => Err(error.to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mailserver: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), String> {
    let quickstart = arguments.config.is_none();
    let config = match &arguments.config {
        Some(path) => Config::read(path).map_err(|error| error.to_string())?,
        None => Config::quickstart(),
    };
    match arguments.action {
        None => serve(config, quickstart).await,
        Some(Action::Check) => say_what_is_wrong(&config).await,
        Some(Action::Account(account)) => manage(&config, account).await,
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
        println!("A server runs with it: its own ports and its store were not tried.");
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
        Account::List => Request::List,
    };
    let text = perform(config, &request)
        .await
        .map_err(|error| error.to_string())?;
    print!("{text}");
    Ok(())
}

/// One line from standard input; on a terminal one is made up and printed.
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

/// Asks whether an account may go, and says what goes with it.
async fn ask(config: &Config, address: &str) -> Result<(), String> {
    let holds = perform(config, &Request::Holds(address.to_owned())).await;
    let holds = holds.map_err(|error| error.to_string())?;
    let holds = holds.trim_end();
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(format!(
            "{address} holds {holds}, and nobody can be asked here: say --yes to remove it all"
        ));
    }
    say(&format!(
        "{address} holds {holds}. All of it will be lost. Remove it? Type \"yes\": "
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
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            // What cannot be used is in the log, and nothing has changed.
            _ = hangup.recv() => drop(server.reload()),
        }
    }
    say("Stopping.\n");
    server.stop().await;
    Ok(())
}

/// Prints, and goes on when nobody reads it any more.
fn say(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
}

/// Makes the demo accounts at the first start; their passwords lie beside the mail.
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
    let at = |service: Service| server.address(service).map_or(0, |address| address.port());
    let demo: String = demo.lines().map(|line| format!("    {line}\n")).collect();
    Ok(format!(
        "\nThe mail server is ready, on 127.0.0.1 only.\n\n\
         In the browser: https://localhost:{https}/ (its certificate is this server's own)\n\
         Accounts (address, password; kept in {file}):\n{demo}\n\
         Point a mail program at it: server 127.0.0.1, user name = address\n\
         \x20   IMAP   port {imaps} (TLS) or {imap} (STARTTLS)\n\
         \x20   POP3   port {pop3s} (TLS) or {pop3} (STARTTLS)\n\
         \x20   SMTP   port {submissions} (TLS) or {submission} (STARTTLS), with the same password\n\
         Mail from elsewhere: SMTP port {smtp}, LMTP {lmtp}\n\
         Its certificate is signed by a private CA: {ca}\n\n\
         More accounts: mailserver account add carol@example.test\n\
         Ctrl-C stops it; a second start finds everything again.\n",
        file = file.display(),
        https = at(Service::Https),
        imaps = at(Service::Imaps),
        imap = at(Service::Imap),
        pop3s = at(Service::Pop3s),
        pop3 = at(Service::Pop3),
        submissions = at(Service::Submissions),
        submission = at(Service::Submission),
        smtp = at(Service::Smtp),
        lmtp = match at(Service::Lmtp) {
            0 => "off: its port is taken".into(),
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
