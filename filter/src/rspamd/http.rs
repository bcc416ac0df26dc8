//! HTTP/1.1 to one server, over connections that are kept for a while.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::StatusCode;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::sync::{Mutex, PoisonError};
use tokio::task::JoinSet;

use super::question::Question;
use crate::endpoint::Endpoint;
use crate::fault::Fault;

/// Octets of an answer. It has a line for each rule that matched; a thousand of them take a tenth.
const ANSWER: usize = 1 << 20;
/// Octets of an answer's head.
const HEAD: usize = 64 << 10;
/// Connections that are kept while nobody needs them.
const IDLE: usize = 4;

#[derive(Debug)]
pub(super) struct Http {
    endpoint: Endpoint,
    idle: Mutex<Vec<Connection>>,
}

#[derive(Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Ends with it, whatever the server does then.
    driver: JoinSet<()>,
}

impl Http {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            idle: Mutex::default(),
        }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Asks, and returns the body of an answer of status 200. It has no limit of time.
    pub(super) async fn ask(&self, question: Question) -> Result<Bytes, Fault> {
        // One that was kept may end at any moment, which says nothing of the server.
        while let Some(connection) = self.kept() {
            match self.ask_over(connection, question.clone()).await {
                Err(Fault::Http(_)) => {}
                answered => return answered,
            }
        }
        let connection = self.connect().await?;
        self.ask_over(connection, question).await
    }

    fn kept(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|connection| !connection.sender.is_closed());
        idle.pop()
    }

    async fn connect(&self) -> Result<Connection, Fault> {
        let stream = TokioIo::new(self.endpoint.connect().await?);
        let mut builder = http1::Builder::new();
        builder.max_buf_size(HEAD);
        let (sender, connection) = builder.handshake(stream).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // What went wrong is said to whoever asks.
            let _ = connection.await;
        });
        Ok(Connection { sender, driver })
    }

    async fn ask_over(
        &self,
        mut connection: Connection,
        question: Question,
    ) -> Result<Bytes, Fault> {
        connection.sender.ready().await?;
        let answer = connection.sender.send_request(question).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER).collect().await;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => Fault::TooLong(ANSWER),
            false => Fault::Body(error),
        })?;
        if status != StatusCode::OK {
            return Err(Fault::Status(status));
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE && !connection.driver.is_empty() {
            idle.push(connection);
        }
        Ok(body.to_bytes())
    }
}
