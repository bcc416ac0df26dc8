//! Managing accounts, also while the server runs: it holds the store, so it is asked through a socket
//! in its data directory.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tracing::warn;

use crate::prepare::Made;
use crate::server::Shared;
use crate::{AccountError, Accounts, Config, Size, StartError, open_store};

/// How many may ask at once, and how long each may take.
const MOST: usize = 16;
const TIME: Duration = Duration::from_secs(10);
/// How long one pauses when there are no file descriptors, and when the server has not yet its socket.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a server may have the store and not the socket, at its start and its stop.
const BETWEEN: Duration = Duration::from_secs(5);

/// What to do with accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Makes one.
    Add {
        /// Its address.
        address: String,
        /// Its password.
        password: String,
    },
    /// Gives one another password.
    Password {
        /// Its address.
        address: String,
        /// The new one.
        password: String,
    },
    /// Removes one with all its mail.
    Remove(String),
    /// What one holds.
    Holds(String),
    /// Sets what one may hold.
    Quota(String, Size),
    /// Lists all.
    List,
}

/// Why nothing was done: one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The running server's answer, or the store's.
    #[error("{0}")]
    Refused(String),
    /// The store cannot be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The account.
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl Request {
    /// One line; neither addresses nor passwords hold tabs or newlines.
    fn encode(&self) -> String {
        match self {
            Self::Add { address, password } => format!("add\t{address}\t{password}\n"),
            Self::Password { address, password } => format!("password\t{address}\t{password}\n"),
            Self::Remove(address) => format!("remove\t{address}\n"),
            Self::Holds(address) => format!("holds\t{address}\n"),
            Self::Quota(address, size) => format!("quota\t{address}\t{}\n", size.0),
            Self::List => "list\n".into(),
        }
    }

    fn decode(line: &str) -> Option<Self> {
        let mut words = line.trim_end_matches(['\r', '\n']).splitn(3, '\t');
        let verb = words.next()?;
        let mut word = || words.next().map(ToOwned::to_owned);
        Some(match verb {
            "add" => Self::Add {
                address: word()?,
                password: word()?,
            },
            "password" => Self::Password {
                address: word()?,
                password: word()?,
            },
            "remove" => Self::Remove(word()?),
            "holds" => Self::Holds(word()?),
            "quota" => Self::Quota(word()?, word()?.parse().ok()?),
            "list" => Self::List,
            _ => return None,
        })
    }

    async fn perform(&self, accounts: &Accounts) -> Result<String, AccountError> {
        match self {
            Self::Add { address, password } => {
                accounts.add(address, password).await?;
                Ok(format!("{address} is there\n"))
            }
            Self::Password { address, password } => {
                accounts.set_password(address, password).await?;
                Ok(format!("{address} has another password\n"))
            }
            Self::Remove(address) => {
                accounts.remove(address).await?;
                Ok(format!("{address} is gone, and its mail\n"))
            }
            Self::Holds(address) => {
                let quota = accounts.known(address).await?.quota;
                let (messages, size) = (quota.used_messages, Size(quota.used_octets));
                let messages = match messages {
                    1 => "1 message".to_owned(),
                    messages => format!("{messages} messages"),
                };
                Ok(format!("{messages}, {size}\n"))
            }
            Self::Quota(address, size) => {
                accounts.set_quota(address, size.0).await?;
                Ok(format!("{address} may hold {size}\n"))
            }
            Self::List => {
                let mut list = String::new();
                for account in accounts.list().await? {
                    let used = Size(account.quota.used_octets);
                    let limit = account
                        .quota
                        .octets
                        .map_or("no limit".into(), |o| Size(o).to_string());
                    let messages = account.quota.used_messages;
                    list += &format!("{}\t{used} of {limit}\t{messages} messages\n", account.name);
                }
                Ok(list)
            }
        }
    }
}

/// Asks the server that runs with this configuration, or does it itself when none does.
///
/// # Errors
/// One line.
pub async fn perform(config: &Config, request: &Request) -> Result<String, ControlError> {
    let until = Instant::now() + BETWEEN;
    loop {
        if let Ok(stream) = UnixStream::connect(socket(&config.data)).await {
            return ask(stream, request).await;
        }
        match alone(config, request).await {
            // A server that is starting or stopping.
            Err(ControlError::Start(StartError::InUse(_))) if Instant::now() < until => {
                tokio::time::sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}

/// Asks the server at the other end.
async fn ask(stream: UnixStream, request: &Request) -> Result<String, ControlError> {
    let refused = |error: std::io::Error| ControlError::Refused(error.to_string());
    let (mut read, mut write) = stream.into_split();
    write
        .write_all(request.encode().as_bytes())
        .await
        .map_err(refused)?;
    let mut answer = String::new();
    read.read_to_string(&mut answer).await.map_err(refused)?;
    match answer.split_once('\n') {
        Some(("ok", text)) => Ok(text.to_owned()),
        Some((_, text)) => Err(ControlError::Refused(text.trim_end().to_owned())),
        None => Err(ControlError::Refused("the server did not answer".into())),
    }
}

/// Does it with the store opened here.
async fn alone(config: &Config, request: &Request) -> Result<String, ControlError> {
    let made = Made::begin(config)?;
    let store = open_store(config)?;
    made.keep();
    let accounts = Accounts::new(store, config.domains.clone(), config.limits.quota.0);
    Ok(request.perform(&accounts).await?)
}

/// Whether a server runs with this configuration's data.
pub(crate) async fn is_running(config: &Config) -> bool {
    UnixStream::connect(socket(&config.data)).await.is_ok()
}

fn socket(data: &Path) -> std::path::PathBuf {
    data.join("control.sock")
}

/// Answers on the socket until the server stops.
pub(crate) fn start(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) {
    let path = socket(&shared.config.data);
    // The store is ours: a socket that lies there is a dead server's.
    let _ = std::fs::remove_file(&path);
    let listener = match UnixListener::bind(&path) {
        Ok(listener) => listener,
        Err(error) => {
            return warn!(%error, "no control socket: accounts cannot be managed while the server runs");
        }
    };
    use std::os::unix::fs::PermissionsExt as _;
    let _ = std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600));
    let shared = Arc::clone(shared);
    tasks.spawn(async move {
        let mut asking = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shared.stopping() => break,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            // A silent client keeps no other one waiting; of too many, new ones are turned away.
            while asking.try_join_next().is_some() {}
            if asking.len() < MOST {
                let shared = Arc::clone(&shared);
                asking.spawn(async move {
                    let _ = tokio::time::timeout(TIME, answer(&shared, stream)).await;
                });
            }
        }
        let _ = std::fs::remove_file(path);
        while asking.join_next().await.is_some() {}
    });
}

async fn answer(shared: &Shared, stream: UnixStream) {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    if BufReader::new(read)
        .take(4096)
        .read_line(&mut line)
        .await
        .is_err()
    {
        return;
    }
    let answer = match Request::decode(&line) {
        Some(request) => match request.perform(&shared.accounts).await {
            Ok(text) => format!("ok\n{text}"),
            Err(error) => format!("error\n{error}\n"),
        },
        None => "error\nnot understood\n".into(),
    };
    let _ = write.write_all(answer.as_bytes()).await;
}
