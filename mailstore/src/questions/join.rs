//! Several answers waited for at once.

use std::pin::Pin;
use std::task::Poll;

use crate::Result;

/// All of them, in their order, while the first is waited for the others work; or the first error.
pub(crate) async fn all<T>(
    futures: impl IntoIterator<Item = impl Future<Output = Result<T>>>,
) -> Result<Vec<T>> {
    let mut waiting: Vec<(Pin<Box<_>>, Option<T>)> = futures
        .into_iter()
        .map(|one| (Box::pin(one), None))
        .collect();
    std::future::poll_fn(|cx| {
        let mut ready = true;
        for (future, answer) in waiting.iter_mut().filter(|(_, answer)| answer.is_none()) {
            match future.as_mut().poll(cx) {
                Poll::Ready(Ok(one)) => *answer = Some(one),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => ready = false,
            }
        }
        match ready {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    })
    .await?;
    Ok(waiting
        .into_iter()
        .filter_map(|(_, answer)| answer)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, block_on};
    use futures_channel::oneshot;

    #[test]
    fn answers_are_in_order_whoever_is_first() {
        let (send, sent): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel::<u32>()).unzip();
        let all = all(sent
            .into_iter()
            .map(|one| async move { Ok(one.await.unwrap()) }));
        let thread = std::thread::spawn(move || block_on(all));
        for (n, send) in send.into_iter().enumerate().rev() {
            send.send(u32::try_from(n).unwrap()).unwrap();
        }
        assert_eq!(thread.join().unwrap().unwrap(), [0, 1, 2]);
        let failed = super::all([true, false].map(|ok| async move {
            if ok {
                Ok(())
            } else {
                Err(Error::NoSuchMailbox(crate::About::Nothing))
            }
        }));
        assert!(matches!(block_on(failed), Err(Error::NoSuchMailbox(_))));
    }
}
