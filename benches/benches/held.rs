//! How long the pages of the webmail block a shared thread: the longest single poll of each request.
//!
//! `cargo bench -p hikyaku-benches --bench held -- FOLDER`; `benches/scripts/nasty.py --write`
//! writes the messages of the folder. Work in other threads blocks nobody, and is not in these figures.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use bytes::Bytes;
use hikyaku_client::Local;
use hikyaku_mailstore::{Flags, Memory, Store};
use std::error::Error;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tower_service::Service as _;
use webmail::{NoPost, Options, SignedIn, Stored, router};

const PERSON: &str = "alice@example.test";
/// How often a request is made; the shortest of the longest polls counts, since the system interrupts, too.
const ROUNDS: usize = 5;
/// The longest that a page may block a thread.
const MOST: Duration = Duration::from_millis(10);
/// The page of the list, and the number of messages on it.
const LIST: &str = "/folder?name=INBOX";
const PAGE: usize = 50;

/// A future and its longest poll.
struct Held<F>(Pin<Box<F>>, Duration);

impl<F: Future> Future for Held<F> {
    type Output = (F::Output, Duration);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let began = Instant::now();
        let polled = self.0.as_mut().poll(context);
        self.1 = self.1.max(began.elapsed());
        polled.map(|output| (output, self.1))
    }
}

/// The webmail over mailboxes in memory.
struct Shown {
    local: Local,
    application: Router,
}

impl Shown {
    async fn new() -> Result<Self, Box<dyn Error>> {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let account = store.create_account(PERSON).await?;
        let local = Local::direct(Arc::clone(&store), account).await?;
        let backend = Stored::new(store, Arc::new(NoPost));
        let application = router(Arc::new(backend), Options::default());
        Ok(Self { local, application })
    }

    async fn add(&self, message: &Bytes) -> Result<(), Box<dyn Error>> {
        self.local
            .add("INBOX", message.clone(), Flags::NONE)
            .await?;
        Ok(())
    }

    /// Returns the shortest time that a page blocked a thread, over some rounds.
    async fn least(&mut self, path: &str) -> Result<Duration, Box<dyn Error>> {
        let mut least = Duration::MAX;
        for _ in 0..ROUNDS {
            least = least.min(page(&mut self.application, path).await?);
        }
        Ok(least)
    }
}

/// Requests a whole page.
async fn page(application: &mut Router, path: &str) -> Result<Duration, Box<dyn Error>> {
    let mut request = Request::get(path).body(Body::empty())?;
    request.extensions_mut().insert(SignedIn(PERSON.into()));
    let answer = async {
        let answer = application.call(request).await?;
        let status = answer.status();
        let octets = to_bytes(answer.into_body(), usize::MAX).await?;
        Ok::<_, Box<dyn Error>>((status, octets.len()))
    };
    let (answered, held) = Held(Box::pin(answer), Duration::ZERO).await;
    let (status, octets) = answered?;
    if !status.is_success() || octets == 0 {
        return Err(format!("{path}: {status}, {octets} octets").into());
    }
    Ok(held)
}

async fn measure(folder: &Path) -> Result<bool, Box<dyn Error>> {
    let mut all = Shown::new().await?;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        names.push(entry?.path());
    }
    names.sort();
    let mut messages = Vec::new();
    for name in &names {
        let message = Bytes::from(std::fs::read(name)?);
        all.add(&message).await?;
        messages.push(message);
    }
    let mut good = true;
    println!("| milliseconds | page | frame | answer | list of {PAGE} |\n|---|---|---|---|---|");
    for (at, (name, message)) in names.iter().zip(&messages).enumerate() {
        print!("| {}", name.file_stem().unwrap_or_default().display());
        let mut row = Vec::new();
        for path in ["message?id", "message/frame?id", "compose?reply"] {
            row.push(all.least(&format!("/{path}=INBOX%2F{}", at + 1)).await?);
        }
        // A stranger sends the same again and again.
        let mut same = Shown::new().await?;
        for _ in 0..PAGE {
            same.add(message).await?;
        }
        row.push(same.least(LIST).await?);
        for held in row {
            good &= held <= MOST;
            print!(" | {:.2}", held.as_secs_f64() * 1e3);
        }
        println!(" |");
    }
    let held = all.least(LIST).await?;
    println!("the list of all: {:.2}", held.as_secs_f64() * 1e3);
    Ok(good && held <= MOST)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"));
    let Some(folder) = words.next() else {
        println!("held: a folder of messages is wanted (benches/scripts/nasty.py --write FOLDER)");
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    match runtime.block_on(measure(Path::new(&folder)))? {
        true => Ok(()),
        false => Err(format!("a page holds a thread for more than {MOST:?}").into()),
    }
}
