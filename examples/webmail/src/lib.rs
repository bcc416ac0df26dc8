#![doc = include_str!("../README.md")]

mod admission;
mod aside;
mod backend;
mod certificate;
mod connection;
mod fence;
mod html;
mod images;
mod outside;
mod pace;
mod pages;
mod remote;
mod room;
mod session;
mod spool;
mod stored;
mod throttle;
mod tls;
mod words;

pub use admission::{Admission, Admitted, Places, network};
pub use backend::{Backend, NoPost, Post, User};
pub use certificate::{Certificate, CertificateError, Untimely, Validity};
pub use connection::{HandshakeError, converse, handshake};
pub use fence::Host;
pub use hikyaku_client::{Error, Fate, Kind, Local, Message, Result};
pub use hikyaku_wire::Secret;
pub use mailstore::BoxFuture;
pub use outside::{Outside, keep_fetching};
pub use remote::{Provider, Remote};
pub use session::SignedIn;
pub use stored::Stored;
pub use throttle::{Slowed, Throttle, TooMany, Turn};
pub use tls::{Encrypted, Peer, serve};
pub use words::Language;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tower_http::compression::CompressionLayer;

use session::Sessions;

/// How the webmail behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The path it is mounted under, without a slash at its end.
    pub base: String,
    /// What stands above the login.
    pub title: String,
    /// A session that nobody used for so long is over.
    pub idle: Duration,
    /// Octets of a message with its attachments, as the browser sends them.
    pub message: usize,
    /// The folder for what browsers upload, in files without names: on a disk, with room for some messages.
    pub uploads: PathBuf,
    /// Accounts at other providers.
    pub outside: Outside,
    /// What slows down guessing passwords; shared with what else people log in to.
    pub throttle: Arc<Throttle>,
    /// Whether cookies go over HTTPS alone. Only a test without TLS says no.
    pub secure: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            base: String::new(),
            title: "Hikyaku".into(),
            idle: Duration::from_secs(30 * 60),
            message: 25 * 1024 * 1024,
            uploads: std::env::temp_dir(),
            outside: Outside::default(),
            throttle: Arc::default(),
            secure: true,
        }
    }
}

pub(crate) struct Shared {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) options: Options,
    pub(crate) sessions: Sessions,
    pub(crate) images: images::Key,
    pub(crate) in_turn: pages::compose::InTurn,
    pub(crate) fetches: images::Fetches,
    pub(crate) spools: Arc<spool::Spools>,
    pub(crate) room: room::Room,
}

pub(crate) type State = axum::extract::State<Arc<Shared>>;

/// Mail in the browser, over that backend. Mount it with `nest` where `options.base` is not empty.
pub fn router(backend: Arc<dyn Backend>, options: Options) -> Router {
    let shared = Arc::new(Shared {
        sessions: Sessions::new(options.idle, Arc::clone(&backend)),
        images: images::Key::new(),
        in_turn: pages::compose::InTurn::default(),
        fetches: images::Fetches::new(),
        spools: spool::Spools::new(options.uploads.clone(), options.message),
        room: room::Room::new(),
        backend,
        options,
    });
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
