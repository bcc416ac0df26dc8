//! The webmail under a path of another axum application, with that application's own login:
//!
//!     cargo run -p webmail --example mounted
//!
//! The application knows one person, by HTTP Basic. Its mailboxes are in a store; nothing is sent.

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::{Router, routing::get};
use hikyaku_mailstore::{Memory, Store};
use std::sync::Arc;
use webmail::{NoPost, Options, SignedIn, Stored, router};

/// The application's own login.
async fn login(mut request: Request, next: Next) -> Response {
    let said = request.headers().get(header::AUTHORIZATION);
    // dora:sesame
    if said.is_some_and(|said| said == "Basic ZG9yYTpzZXNhbWU=") {
        let person = SignedIn("dora@example.test".into());
        request.extensions_mut().insert(person);
        return next.run(request).await;
    }
    let ask = [(header::WWW_AUTHENTICATE, "Basic")];
    (StatusCode::UNAUTHORIZED, ask).into_response()
}

/// The application: a page of its own, and the webmail under `/mail`.
pub fn application(store: Arc<dyn Store>) -> Router {
    let backend = Stored::new(store, Arc::new(NoPost));
    let options = Options {
        base: "/mail".into(),
        ..Options::default()
    };
    Router::new()
        .route("/", get(async || "the groupware"))
        .nest("/mail", router(Arc::new(backend), options))
        .layer(from_fn(login))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    axum::serve(listener, application(Arc::new(Memory::new()))).await
}
