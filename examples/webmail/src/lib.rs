#![doc = include_str!("../README.md")]
#![allow(
    clippy::exhaustive_structs,
    clippy::exhaustive_enums,
    reason = "who mounts it writes its options out"
)]

mod admission;
mod aside;
mod backend;
mod certificate;
mod connection;
mod fence;
mod fetches;
mod html;
mod image_key;
mod images;
mod options;
mod outside;
mod pace;
mod pages;
mod peer;
mod remote;
mod room;
mod session;
mod shared;
mod spool;
mod stored;
mod throttle;
mod tls;
mod words;

pub use admission::{Admission, Admitted, Places, neighbourhood, network};
pub use backend::{Backend, NoPost, Post, User};
pub use certificate::{Certificate, CertificateError, Untimely, Validity};
pub use connection::{HandshakeError, converse, handshake};
pub use fence::Host;
pub use hikyaku_client::{Error, Fate, Kind, Local, Message, Result};
pub use hikyaku_mailstore::BoxFuture;
pub use hikyaku_wire::Secret;
pub use options::Options;
pub use outside::{Outside, keep_fetching};
pub use peer::Peer;
pub use remote::{Provider, Remote};
pub use session::SignedIn;
pub use stored::Stored;
pub use throttle::{Slowed, Throttle, TooMany, Turn};
pub use tls::{Encrypted, serve};
pub use words::Language;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use std::sync::Arc;
use tower_http::compression::CompressionLayer;

pub(crate) use shared::{Shared, State};

/// Creates the router of the webmail over a backend. Mount it with `nest` if `options.base` is not empty.
pub fn router(backend: Arc<dyn Backend>, options: Options) -> Router {
    let shared = Shared::new(backend, options);
    Router::new()
        .route("/", get(pages::home))
        .route(
            "/login",
            get(pages::login::show)
                .post(pages::login::log_in)
                // It counts what it reads, as composing does.
                .layer(DefaultBodyLimit::disable()),
        )
        .route("/logout", post(pages::login::log_out))
        .route("/language", post(pages::login::language))
        .route("/folder", get(pages::list::show))
        .route("/message", get(pages::message::show))
        .route("/message/frame", get(pages::message::frame))
        .route("/image", get(images::show))
        .route("/images", post(pages::trust::choose))
        .route("/message/part", get(pages::saving::part))
        .route(
            "/compose",
            get(pages::compose::show)
                .post(pages::compose::write)
                .layer(DefaultBodyLimit::disable()),
        )
        .route("/act", post(pages::act::act))
        .route("/refresh", post(pages::act::refresh))
        .route(
            "/outside",
            get(pages::outside::show).post(pages::outside::act),
        )
        .route("/events", get(pages::events))
        .route("/assets/style.css", get(pages::style))
        .route("/assets/app.js", get(pages::script))
        .route("/assets/icon.svg", get(pages::icon))
        .layer(middleware::from_fn(pace::pace))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), headers))
        .layer(CompressionLayer::new())
        .layer(DefaultBodyLimit::max(FORM))
        .with_state(shared)
}

/// Octets of a form: many messages may be named in one.
const FORM: usize = 512 * 1024;

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
    frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every answer has; and a form that another site sends is refused.
async fn headers(axum::extract::State(shared): State, request: Request, next: Next) -> Response {
    if let Some(status) = fence::refused(&request, shared.options.secure) {
        return status.into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // With "no-referrer" browsers would send `Origin: null` with the forms of these pages.
    set(header::REFERRER_POLICY, "same-origin");
    set(header::CACHE_CONTROL, "no-store");
    set(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    set(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    set(
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=()",
    );
    response
}
