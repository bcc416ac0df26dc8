//! `mailclient watch`: syncs at each account's interval, when the server reports a change, and when another
//! terminal asks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, mpsc, oneshot};

use hikyaku_client::{
    Account, Dial, Error, Kind, Local, Report, Result, imap, private_folder, sync,
};

use crate::store;

/// How long to wait after a failure before IDLE is tried again.
const AGAIN: Duration = Duration::from_secs(60);
/// The longest line from another terminal, in octets.
const LINE: u64 = 1024;

/// Creates the [`Dial`] that connects for an account.
pub type Dialer = Arc<dyn Fn(&Account) -> Arc<dyn Dial> + Send + Sync>;
/// Called with the result of each sync.
pub type Synced = Arc<dyn Fn(&Account, &Result<Report>) + Send + Sync>;

/// Asks for a sync; the answer is a line.
type Asked = oneshot::Sender<String>;

fn socket(folder: &Path) -> PathBuf {
    folder.join("watch.sock")
}

/// Watches the accounts until `stop` ends.
///
/// # Errors
/// When another watch is running in that folder.
pub async fn watch(
    folder: &Path,
    accounts: Vec<Account>,
    dialer: Dialer,
    synced: Synced,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let path = socket(folder);
    let file = |error| Error::File(path.display().to_string(), error);
    if UnixStream::connect(&path).await.is_ok() {
        return Err(Error::Usage(
            "another `mailclient watch` is already running".into(),
        ));
    }
    // What a watch that was killed has left.
    let _ = std::fs::remove_file(&path);
    private_folder(folder).map_err(file)?;
    let listener = UnixListener::bind(&path).map_err(file)?;
    let own: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, own).map_err(file)?;
    // The store is one process's, and within it one account's at a time.
    let turn = Arc::new(Mutex::new(()));
    let mut tasks = tokio::task::JoinSet::new();
    let mut queues = Vec::new();
    for account in accounts {
        let (ask, asked) = mpsc::channel(8);
        queues.push((account.address.clone(), ask));
        let one = One {
            folder: folder.to_owned(),
            dial: dialer(&account),
            account,
            turn: Arc::clone(&turn),
            synced: Arc::clone(&synced),
        };
        tasks.spawn(one.run(asked));
    }
    let queues = Arc::new(queues);
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    tasks.spawn(answer(stream, Arc::clone(&queues)));
                }
            }
        }
    }
    tasks.shutdown().await;
    let _ = std::fs::remove_file(&path);
    Ok(())
}

/// One request from another terminal: `sync`, or `sync ADDRESS`.
async fn answer(stream: UnixStream, queues: Arc<Vec<(String, mpsc::Sender<Asked>)>>) {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut read = BufReader::new(tokio::io::AsyncReadExt::take(read, LINE));
    let read = tokio::time::timeout(Duration::from_secs(5), read.read_line(&mut line));
    let Ok(Ok(_)) = read.await else { return };
    let wanted = line.trim().strip_prefix("sync").map(str::trim);
    let Some(wanted) = wanted else { return };
    for (address, ask) in queues.iter() {
        if wanted.is_empty() || wanted.eq_ignore_ascii_case(address) {
            let (answer, answered) = oneshot::channel();
            let _ = ask.send(answer).await;
            let said = answered.await.unwrap_or_else(|_| "stopped".into());
            let _ = write
                .write_all(format!("{address}: {said}\n").as_bytes())
                .await;
        }
    }
}

/// Asks a running watch for a sync; `None` when there is none.
pub(crate) async fn ask(folder: &Path, account: Option<&str>) -> Option<String> {
    let mut stream = UnixStream::connect(socket(folder)).await.ok()?;
    let line = format!("sync {}\n", account.unwrap_or(""));
    stream.write_all(line.as_bytes()).await.ok()?;
    let mut said = String::new();
    let read = tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut said);
    read.await.ok()?;
    Some(said)
}

struct One {
    folder: PathBuf,
    account: Account,
    dial: Arc<dyn Dial>,
    turn: Arc<Mutex<()>>,
    synced: Synced,
}

impl One {
    async fn run(self, mut asked: mpsc::Receiver<Asked>) {
        let mut waiting: Option<Asked> = None;
        loop {
            let outcome = self.sync().await;
            (self.synced)(&self.account, &outcome);
            if let Some(waiting) = waiting.take() {
                let _ = waiting.send(said(&outcome));
            }
            let interval = self.account.interval.0;
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = self.changed() => {}
                ask = asked.recv() => match ask {
                    Some(ask) => waiting = Some(ask),
                    None => return,
                },
            }
        }
    }

    async fn sync(&self) -> Result<Report> {
        let _turn = self.turn.lock().await;
        let store = store::open(&self.folder).await?;
        let local = Local::of(store, &self.account).await?;
        sync(&*self.dial, &local, &self.account, &()).await
    }

    /// Waits until the server says that INBOX changed; for ever where it cannot say so.
    async fn changed(&self) {
        if self.account.kind == Kind::Pop {
            return std::future::pending().await;
        }
        loop {
            match imap::changed(&*self.dial, &self.account).await {
                Ok(()) => return,
                Err(Error::Refused(_)) => return std::future::pending().await,
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }
}

/// Returns the result of a sync as one line of text.
pub(crate) fn said(outcome: &Result<Report>) -> String {
    match outcome {
        Ok(report) => {
            let mut line = format!("{} new", report.new);
            let more = [
                (report.bodies, "downloaded"),
                (report.changed, "changed"),
                (report.gone, "gone from the server"),
                (report.deleted, "deleted from the server"),
                (report.replayed, "sent to the server"),
            ];
            for (count, what) in more.into_iter().filter(|(count, _)| *count > 0) {
                line += &format!(", {count} {what}");
            }
            if let Some((used, limit)) = report.quota
                && used.saturating_mul(10) >= limit.saturating_mul(9)
            {
                let percent = used.saturating_mul(100) / limit.max(1);
                line += &format!(
                    "; the mailbox is {percent} % full: delete some messages, or new mail will be refused"
                );
            }
            for warning in &report.warnings {
                line += &format!("; not done: {warning}");
            }
            line
        }
        Err(error) => error.to_string(),
    }
}
