//! Manages accounts, addresses and the queue, even while the server runs: it holds the store, so requests go through a socket
//! in its data directory.

use hikyaku_mailstore::Store;
use hikyaku_relay::Relay;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tracing::warn;

use crate::address_request::AddressRequest;
use crate::addresses::{AddressBook, AddressError};
use crate::made::Made;
use crate::queue_request::{QueueError, QueueRequest};
use crate::relaying::{self, RelayError};
use crate::shared::Shared;
use crate::trace::TraceLog;
use crate::{AccountError, Accounts, Config, Size, StartError, open_store};

/// The longest request: an alias with all the addresses that it may have.
const LONGEST: u64 = 1 << 19;
/// How many may ask at once, and how long each may take.
const MOST: usize = 16;
const TIME: Duration = Duration::from_secs(10);
/// How long one pauses when there are no file descriptors, and when the server has not yet its socket.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a server may have the store and not the socket, at its start and its stop.
const BETWEEN: Duration = Duration::from_secs(5);

/// A request about accounts, addresses, or the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Adds an account.
    Add {
        /// Its address.
        address: String,
        /// Its password.
        password: String,
    },
    /// Changes a password.
    Password {
        /// Its address.
        address: String,
        /// The new password.
        password: String,
    },
    /// Removes an account with all its mail.
    Remove(String),
    /// Asks what an account holds.
    Holds(String),
    /// Sets a quota.
    Quota(String, Size),
    /// Sets to how many recipients a day an account may send, 0 for no limit; without a number, as configured.
    Sending(String, Option<u32>),
    /// Lists all accounts.
    List,
    /// Looks at addresses, or changes them.
    Addresses(AddressRequest),
    /// Looks at the queue, or changes it.
    Queue(QueueRequest),
}

/// Why a request failed, in one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The answer of the running server, or an error of the store.
    #[error("{0}")]
    Refused(String),
    /// The store cannot be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// An error of the account.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// An error of an address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// An error of the queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
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
            Self::Sending(address, Some(many)) => format!("sending\t{address}\t{many}\n"),
            Self::Sending(address, None) => format!("sending\t{address}\n"),
            Self::List => "list\n".into(),
            // JSON has no tabs and newlines of its own.
            Self::Addresses(request) => format!(
                "addresses\t{}\n",
                serde_json::to_string(request).unwrap_or_default()
            ),
            Self::Queue(request) => format!(
                "queue\t{}\n",
                serde_json::to_string(request).unwrap_or_default()
            ),
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
            "sending" => {
                let address = word()?;
                let many = word().map(|many| many.parse()).transpose();
                Self::Sending(address, many.ok()?)
            }
            "list" => Self::List,
            "addresses" => Self::Addresses(serde_json::from_str(&word()?).ok()?),
            "queue" => Self::Queue(serde_json::from_str(&word()?).ok()?),
            _ => return None,
        })
    }

    async fn perform(&self, desk: &Desk) -> Result<Vec<u8>, ControlError> {
        match self {
            Self::Queue(request) => Ok(request.perform(&*desk.store, || desk.relay()).await?),
            Self::Addresses(request) => Ok(request
                .perform(desk.accounts.addresses())
                .await?
                .into_bytes()),
            request => Ok(request.manage(&desk.accounts).await?.into_bytes()),
        }
    }

    async fn manage(&self, accounts: &Accounts) -> Result<String, AccountError> {
        match self {
            Self::Queue(_) | Self::Addresses(_) => Ok(String::new()),
            Self::Add { address, password } => {
                accounts.add(address, password).await?;
                Ok(format!("the account {address} was added\n"))
            }
            Self::Password { address, password } => {
                accounts.set_password(address, password).await?;
                Ok(format!("the password of {address} was changed\n"))
            }
            Self::Remove(address) => {
                accounts.remove(address).await?;
                Ok(format!("{address} is gone, with all its mail\n"))
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
            Self::Sending(address, many) => {
                accounts.set_sending(address, *many).await?;
                Ok(match many {
                    Some(0) => format!("{address} may send without a limit\n"),
                    Some(many) => format!("{address} may send to {many} recipients a day\n"),
                    None => format!("{address} may send as [limits.account] says\n"),
                })
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

/// What requests are performed with.
pub(crate) struct Desk {
    pub(crate) accounts: Accounts,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) config: Arc<Config>,
    /// The relay that runs, or one that only serves to change the queue.
    relay: OnceLock<Arc<Relay>>,
    /// The log that such a one writes to.
    trace: OnceLock<Arc<TraceLog>>,
}

impl Desk {
    fn relay(&self) -> Result<Arc<Relay>, RelayError> {
        if let Some(relay) = self.relay.get() {
            return Ok(Arc::clone(relay));
        }
        let trace = TraceLog::open(&self.config.data, &self.config.trace, Arc::default());
        let trace = trace.map(|trace| Arc::clone(self.trace.get_or_init(|| trace)));
        let relay = relaying::idle(&self.config, &self.accounts, &self.store, trace)?;
        Ok(Arc::clone(self.relay.get_or_init(|| relay)))
    }
}

/// The server that runs with a configuration, or its store if none runs, which nobody else can open meanwhile.
#[derive(Debug)]
pub struct Control(Way);

enum Way {
    /// Its socket, and the first connection to it.
    Running(PathBuf, Mutex<Option<UnixStream>>),
    Alone(Box<Desk>),
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Running(..) => "Running",
            Self::Alone(_) => "Alone",
        })
    }
}

impl Control {
    /// Finds the server that runs with this configuration; opens the store itself if none runs.
    ///
    /// # Errors
    /// One line.
    pub async fn open(config: &Config) -> Result<Self, ControlError> {
        let until = Instant::now() + BETWEEN;
        loop {
            let path = socket(&config.data);
            if let Ok(stream) = UnixStream::connect(&path).await {
                return Ok(Self(Way::Running(path, Mutex::new(Some(stream)))));
            }
            match alone(config).await {
                // A server that is starting or stopping.
                Err(ControlError::Start(StartError::InUse(_))) if Instant::now() < until => {
                    tokio::time::sleep(PAUSE).await;
                }
                desk => return Ok(Self(Way::Alone(Box::new(desk?)))),
            }
        }
    }

    /// Sends a request and returns the answer.
    ///
    /// # Errors
    /// One line.
    pub async fn ask(&self, request: &Request) -> Result<Vec<u8>, ControlError> {
        match &self.0 {
            Way::Running(path, first) => {
                let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
                let stream = match first {
                    Some(stream) => Ok(stream),
                    None => UnixStream::connect(path).await,
                };
                let stopped = |_| ControlError::Refused("the server has stopped".into());
                ask(stream.map_err(stopped)?, request).await
            }
            Way::Alone(desk) => request.perform(desk).await,
        }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        if let Self::Alone(desk) = self
            && let Some(trace) = desk.trace.get()
        {
            trace.close();
        }
    }
}

/// Sends a request to the server that runs with this configuration; opens the store itself if none runs.
///
/// # Errors
/// One line.
pub async fn perform(config: &Config, request: &Request) -> Result<String, ControlError> {
    let answer = Control::open(config).await?.ask(request).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Sends a request to the running server and returns its answer.
async fn ask(stream: UnixStream, request: &Request) -> Result<Vec<u8>, ControlError> {
    let refused = |error: std::io::Error| ControlError::Refused(error.to_string());
    let (mut read, mut write) = stream.into_split();
    write
        .write_all(request.encode().as_bytes())
        .await
        .map_err(refused)?;
    let mut answer = Vec::new();
    read.read_to_end(&mut answer).await.map_err(refused)?;
    let Some(end) = answer.iter().position(|&octet| octet == b'\n') else {
        return Err(ControlError::Refused("the server did not answer".into()));
    };
    let text = answer.split_off(end + 1);
    match &answer[..] {
        b"ok\n" => Ok(text),
        _ => {
            let text = String::from_utf8_lossy(&text);
            Err(ControlError::Refused(text.trim_end().to_owned()))
        }
    }
}

/// Opens the store to perform requests here.
async fn alone(config: &Config) -> Result<Desk, ControlError> {
    let made = Made::begin(config)?;
    let store = open_store(config)?;
    made.keep();
    let addresses = AddressBook::open(
        Arc::clone(&store),
        &config.domains,
        &config.addresses.separators,
    );
    let addresses = addresses.await.map_err(StartError::Addresses)?;
    let quota = config.limits.quota.0;
    let accounts = Accounts::new(Arc::clone(&store), &config.domains, quota).at(addresses);
    Ok(Desk {
        accounts,
        store,
        config: Arc::new(config.clone()),
        relay: OnceLock::new(),
        trace: OnceLock::new(),
    })
}

/// Whether a server runs with this configuration's data.
pub(crate) async fn is_running(config: &Config) -> bool {
    UnixStream::connect(socket(&config.data)).await.is_ok()
}

fn socket(data: &Path) -> PathBuf {
    data.join("control.sock")
}

/// Answers on the socket until the server stops.
pub(crate) fn start(shared: &Arc<Shared>, relay: &Arc<Relay>, tasks: &mut JoinSet<()>) {
    let path = socket(&shared.config.data);
    // The store is ours: a socket that lies there is a dead server's.
    let _ = std::fs::remove_file(&path);
    let listener = match UnixListener::bind(&path) {
        Ok(listener) => listener,
        Err(error) => {
            return warn!(%error, "the control socket cannot be created: stop the server to manage accounts");
        }
    };
    use std::os::unix::fs::PermissionsExt as _;
    let _ = std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600));
    let desk = Arc::new(Desk {
        accounts: shared.accounts.clone(),
        store: Arc::clone(&shared.store),
        config: Arc::clone(&shared.config),
        relay: OnceLock::from(Arc::clone(relay)),
        trace: OnceLock::new(),
    });
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
                let desk = Arc::clone(&desk);
                asking.spawn(async move {
                    let _ = tokio::time::timeout(TIME, answer(&desk, stream)).await;
                });
            }
        }
        let _ = std::fs::remove_file(path);
        while asking.join_next().await.is_some() {}
    });
}

async fn answer(desk: &Desk, stream: UnixStream) {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    if BufReader::new(read)
        .take(LONGEST)
        .read_line(&mut line)
        .await
        .is_err()
    {
        return;
    }
    let answer = match Request::decode(&line) {
        Some(request) => match request.perform(desk).await {
            Ok(text) => [b"ok\n", &text[..]].concat(),
            Err(error) => format!("error\n{error}\n").into_bytes(),
        },
        None => b"error\nthe server does not know this command: is it of another version?\n".into(),
    };
    let _ = write.write_all(&answer).await;
}
