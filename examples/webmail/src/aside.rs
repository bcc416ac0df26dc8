//! Work that takes a while, beside the threads that serve everybody.

use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long somebody waits for a turn, and then for the end of the work.
const PATIENCE: Duration = Duration::from_secs(10);

/// Turns: no more is done at once than there are processors, so that who opens many messages waits for himself.
#[derive(Debug)]
struct Aside {
    turns: Arc<Semaphore>,
    patience: Duration,
}

/// Those of this process.
static ASIDE: LazyLock<Aside> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    Aside::with(processors, PATIENCE)
});

/// Does that in a thread of its own, when it is its turn. Work that goes on after its time keeps its turn until it
/// ends.
pub(crate) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Busy> {
    ASIDE.run(work).await
}

/// There was no turn in time, or the work did not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy;

impl Aside {
    fn with(turns: usize, patience: Duration) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(turns)),
            patience,
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let turn = tokio::time::timeout(self.patience, Arc::clone(&self.turns).acquire_owned());
        let turn = turn.await.map_err(|_| Busy)?.map_err(|_| Busy)?;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        let done = tokio::time::timeout(self.patience, done).await;
        done.map_err(|_| Busy)?.map_err(|_| Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_gets_no_turn_is_not_kept_waiting() {
        let aside = Aside::with(1, Duration::from_millis(200));
        let kept = Arc::clone(&aside.turns).acquire_owned().await.unwrap();
        assert_eq!(aside.run(|| 1).await, Err(Busy));
        drop(kept);
        // On a busy machine a panic takes a while.
        let patient = Aside::with(1, Duration::from_secs(60));
        assert_eq!(patient.run(|| 2).await, Ok(2));
        // What panics is no answer, and its turn is free again.
        assert_eq!(patient.run(|| panic!("broken")).await, Err::<(), _>(Busy));
        assert_eq!(patient.run(|| 3).await, Ok(3));
    }
}
