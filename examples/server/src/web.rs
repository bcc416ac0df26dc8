//! The webmail, over the server's own store.

use axum::Router;
use axum::extract::{Path, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::get;
use bytes::Bytes;
use hikyaku_mailstore::{Account, BoxFuture, Store};
use hikyaku_service::Directory as _;
use hikyaku_smtp_proto::{ForwardPath, Mailbox, ReversePath};
use hikyaku_wire::Secret;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::task::JoinSet;
use tracing::info;
use webmail::{
    Backend, Error, Fate, Host, Kind, Options, Outside, Post, Result, User, keep_fetching, router,
};

use crate::accounts::Accounts;
use crate::metrics::count;
use crate::shared::Shared;

/// The people of this server.
struct People(Arc<Shared>);

impl Backend for People {
    fn log_in<'a>(&'a self, name: &'a str, password: Secret) -> BoxFuture<'a, Result<User>> {
        Box::pin(async move {
            let wrong = || Error::Login("wrong name or password".into());
            let password = password.expose_str().ok_or_else(wrong)?;
            let metrics = &self.0.metrics;
            let Some(account) = self.0.accounts.verify(name, password).await? else {
                count(&metrics.logins_failed_total);
                info!("login to the webmail failed");
                return Err(wrong());
            };
            count(&metrics.logins_total);
            info!(name = account.name, "logged in to the webmail");
            self.person(account).await
        })
    }

    fn login_name(&self, name: &str) -> String {
        self.0.accounts.login_name(name)
    }

    fn sessions(&self) -> Option<Arc<dyn Store>> {
        Some(Arc::clone(&self.0.store))
    }

    fn stamp(&self, account: &Account) -> String {
        Accounts::stamp(account)
    }

    fn resume<'a>(
        &'a self,
        account: &'a Account,
        _: Option<(String, Secret)>,
    ) -> BoxFuture<'a, Result<User>> {
        Box::pin(self.person(account.clone()))
    }
}

impl People {
    async fn person(&self, account: Account) -> Result<User> {
        let store = Arc::clone(&self.0.store);
        Ok(User {
            local: webmail::Local::direct(store, account.id)
                .await?
                .with_cache(Arc::clone(&self.0.cache)),
            address: account.name,
            name: None,
            post: Arc::new(Own(Arc::clone(&self.0))),
        })
    }
}

/// Mail that leaves from here, and rests here.
struct Own(Arc<Shared>);

impl Post for Own {
    fn send<'a>(
        &'a self,
        user: &'a User,
        to: Vec<String>,
        message: Bytes,
    ) -> BoxFuture<'a, Result<Vec<(String, Fate)>>> {
        Box::pin(async move {
            let bad = |address: &str| Error::Usage(format!("{address} is not an e-mail address"));
            let mailbox =
                |address: &str| Mailbox::parse(address.as_bytes()).map_err(|_| bad(address));
            let mut paths = Vec::new();
            for to in &to {
                paths.push(ForwardPath::Mailbox(mailbox(to)?));
            }
            let from = ReversePath(Some(mailbox(&user.address)?));
            let shared = &self.0;
            let account = shared.store.account_by_id(user.local.account_id()).await?;
            let account = account.ok_or_else(|| Error::Login("the account was removed".into()))?;
            let authors = shared
                .residents
                .authors(Some(&account), IpAddr::from([0; 4]));
            let submitted = shared
                .service
                .submit(&account, authors, from, paths, message);
            let replies = submitted.await?;
            let fate = |reply: &hikyaku_smtp_proto::Reply| match reply {
                reply if reply.is_positive() => Fate::Accepted,
                reply if reply.is_transient() => Fate::Deferred(reply.to_string()),
                reply => Fate::Refused(reply.to_string()),
            };
            Ok(to.into_iter().zip(replies.iter().map(fate)).collect())
        })
    }

    fn refresh<'a>(&'a self, _: &'a User) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn fetch<'a>(
        &'a self,
        _: &'a User,
        message: &'a webmail::Message,
    ) -> BoxFuture<'a, Result<Bytes>> {
        Box::pin(async move { Err(Error::NotFound(format!("message: {}", message.name))) })
    }

    fn quota<'a>(&'a self, user: &'a User) -> BoxFuture<'a, Result<Option<(u64, u64)>>> {
        Box::pin(async move {
            let account = self.0.store.account_by_id(user.local.account_id()).await?;
            let quota = account.map(|account| account.quota);
            Ok(quota.and_then(|quota| Some((quota.used_octets, quota.octets?))))
        })
    }
}

/// The pages of the webmail. What is fetched for them goes on until the server stops.
pub(crate) fn pages(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) -> Router {
    let message = usize::try_from(shared.config.limits.message_size.0);
    let config = &shared.config.webmail;
    let outside = Outside {
        private: config.outside_private,
        interval: config.outside_interval.0,
        ca: config.outside_ca.clone(),
    };
    let fetching = keep_fetching(Arc::clone(&shared.store), outside.clone(), Kind::Pop);
    let fetched = Arc::clone(shared);
    tasks.spawn(async move {
        tokio::select! {
            () = fetching => {}
            () = fetched.stopping() => {}
        }
    });
    let options = Options {
        message: message.unwrap_or(usize::MAX),
        uploads: shared.config.data.clone(),
        outside,
        throttle: Arc::clone(&shared.throttle),
        ..Options::default()
    };
    router(Arc::new(People(Arc::clone(shared))), options)
}

/// Plain HTTP answers the ACME server, leads to HTTPS where there is that, and shows nothing else. It leads to names of this
/// server only, whatever a request names.
pub(crate) fn plain(shared: &Arc<Shared>, https: Option<u16>) -> Router {
    let config = &shared.config;
    let own: Vec<_> = std::iter::once(&config.hostname)
        .chain(&config.domains)
        .map(|name| name.to_ascii_lowercase())
        .collect();
    let lead = move |request: Request| async move {
        let Some(https) = https else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let Some(host) = Host::of(&request) else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        let is_address = host.name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let within = |own: &String| {
            let rest = host.name.strip_suffix(own.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let is_own = is_address || host.name == "localhost" || own.iter().any(within);
        let name = match own.first() {
            Some(hostname) if !is_own => hostname,
            _ => &host.name,
        };
        Redirect::permanent(&format!("https://{name}:{https}{}", request.uri().path()))
            .into_response()
    };
    let asked = Arc::clone(shared);
    // RFC 8555 §8.3
    let challenge = move |Path(token): Path<String>| async move {
        let file = asked.acme.challenges.file(&token);
        file.ok_or(StatusCode::NOT_FOUND).map(|file| {
            let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
            (kind, file)
        })
    };
    Router::new()
        .route("/.well-known/acme-challenge/{token}", get(challenge))
        .fallback(lead)
}
