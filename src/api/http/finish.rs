//! Finishes what a request began, also when its client is gone.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::runtime::Handle;

/// A future that, dropped before its end, goes on by itself.
///
/// hyper drops a request's future as soon as the client closes the connection. Dropped between the
/// write to Redis and the start of work, a submitted transaction would lie idle until its first
/// lease ends, although this node holds it. Nothing is spawned as long as the client stays.
pub(super) struct Finish<F: Future<Output: Send> + Send + 'static> {
    rest: Option<Pin<Box<F>>>,
}

/// Wraps `work` so that it is finished whoever drops it.
///
/// The work must be bounded in time, as every use case is: nobody waits for it any more.
pub(super) fn finish<F: Future<Output: Send> + Send + 'static>(work: F) -> Finish<F> {
    Finish { rest: Some(Box::pin(work)) }
}

impl<F: Future<Output: Send> + Send + 'static> Future for Finish<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Some(rest) = &mut self.rest else { return Poll::Pending };
        let polled = rest.as_mut().poll(cx);
        if polled.is_ready() {
            self.rest = None;
        }
        polled
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Finish<F> {
    fn drop(&mut self) {
        // A panic while it was polled drops it too, and such a future must not be polled again.
        if std::thread::panicking() {
            return;
        }
        let Some(rest) = self.rest.take() else { return };
        // Without a runtime (it is shutting down) the lease ends and another node goes on.
        if let Ok(runtime) = Handle::try_current() {
            tracing::debug!("the client went away before its answer; its request is finished");
            runtime.spawn(async move {
                let _unheard = rest.await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_is_awaited_answers() {
        assert_eq!(finish(async { 7 }).await, 7);
    }

    #[tokio::test]
    async fn what_is_dropped_on_its_way_goes_on() {
        let (go, wait) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel();
        let mut work = finish(async move {
            wait.await.unwrap();
            done.send(7).unwrap();
        });
        assert!((&mut work).now_or_never().is_none());
        drop(work);
        go.send(()).unwrap();
        assert_eq!(is_done.await, Ok(7));
    }

    #[test]
    fn without_a_runtime_it_is_let_go() {
        drop(finish(std::future::pending::<()>()));
    }
}
