#![doc = include_str!("../README.md")]

mod aside;
mod backend;
mod certificate;
mod html;
mod images;
mod outside;
mod pages;
mod remote;
mod session;
mod stored;
mod throttle;
mod tls;
mod words;

pub use backend::{Backend, NoPost, Post, User};
pub use certificate::{Certificate, CertificateError, Untimely, Validity};
pub use hikyaku_client::{Error, Fate, Kind, Local, Message, Result};
pub use hikyaku_wire::Secret;
pub use mailstore::BoxFuture;
pub use outside::{Outside, keep_fetching};
pub use remote::{Provider, Remote};
pub use session::SignedIn;
pub use stored::Stored;
pub use throttle::{Slowed, Throttle, TooMany, Turn};
pub use tls::{Encrypted, Peer, serve, server_config};
pub use words::Language;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
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
}

pub(crate) type State = axum::extract::State<Arc<Shared>>;

/// Mail in the browser, over that backend. Mount it with `nest` where `options.base` is not empty.
pub fn router(backend: Arc<dyn Backend>, options: Options) -> Router {
    let body = options.message.saturating_add(1024 * 1024);
    let shared = Arc::new(Shared {
        sessions: Sessions::new(options.idle, Arc::clone(&backend)),
        images: images::Key::new(),
        in_turn: pages::compose::InTurn::default(),
        fetches: images::Fetches::new(),
        backend,
        options,
    });
    Router::new()
        .route("/", get(pages::home))
        .route(
            "/login",
            get(pages::login::show)
                .post(pages::login::log_in)
                .layer(DefaultBodyLimit::max(pages::login::FORM)),
        )
        .route("/logout", post(pages::login::log_out))
        .route("/language", post(pages::login::language))
        .route("/folder", get(pages::list::show))
        .route("/message", get(pages::message::show))
        .route("/message/frame", get(pages::message::frame))
        .route("/image", get(images::show))
        .route("/images", post(pages::trust::choose))
        .route("/message/part", get(pages::message::part))
        .route(
            "/compose",
            get(pages::compose::show)
                .post(pages::compose::write)
                // It counts what it reads.
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
        .layer(middleware::from_fn(headers))
        .layer(CompressionLayer::new())
        .layer(DefaultBodyLimit::max(body))
        .with_state(shared)
}

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
    frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every answer has; and a form that another site sends is refused (with `SameSite` and the
/// token in each form that is the third fence, for browsers that know neither).
async fn headers(request: Request, next: Next) -> Response {
    if request.method() == axum::http::Method::POST && is_from_elsewhere(request.headers()) {
        return StatusCode::FORBIDDEN.into_response();
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
    set(header::REFERRER_POLICY, "no-referrer");
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

fn is_from_elsewhere(headers: &axum::http::HeaderMap) -> bool {
    let get = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let site = get(HeaderName::from_static("sec-fetch-site"));
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return true;
    }
    let origin = get(header::ORIGIN).and_then(|origin| origin.split_once("://"));
    origin.is_some_and(|(_, host)| get(header::HOST) != Some(host))
}
