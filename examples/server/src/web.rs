//! The webmail, over the server's own store.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect};
use bytes::Bytes;
use hikyaku_webmail::{
    Backend, Encrypted, Error, Fate, Kind, Options, Outside, Post, Result, User, keep_fetching,
    router,
};
use hikyaku_wire::Secret;
use mailstore::{Account, BoxFuture, Store};
use smtp_proto::{ForwardPath, Mailbox, ReversePath};
use std::sync::Arc;
use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::accounts::Accounts;
use crate::metrics::count;
use crate::server::Shared;
use crate::smtp;

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
            local: hikyaku_webmail::Local::direct(store, account.id).await?,
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
            let bad = |address: &str| Error::Usage(format!("{address} is no address"));
            let mailbox =
                |address: &str| Mailbox::parse(address.as_bytes()).map_err(|_| bad(address));
            let mut paths = Vec::new();
            for to in &to {
                paths.push(ForwardPath::Mailbox(mailbox(to)?));
            }
            let from = ReversePath(Some(mailbox(&user.address)?));
            let replies = smtp::submit(
                &self.0,
                user.local.account_id(),
                &user.address,
                from,
                paths,
                message,
            )
            .await?;
            let fate = |reply: &smtp_proto::Reply| match reply {
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
        message: &'a hikyaku_webmail::Message,
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

/// The webmail, until the server stops.
pub(crate) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let message = usize::try_from(shared.config.limits.message_size.0);
    let config = &shared.config.webmail;
    let outside = Outside {
        private: config.outside_private,
        interval: config.outside_interval.0,
        ca: config.outside_ca.clone(),
    };
    let fetching = keep_fetching(Arc::clone(&shared.store), outside.clone(), Kind::Pop);
    let options = Options {
        message: message.unwrap_or(usize::MAX),
        outside,
        throttle: Arc::clone(&shared.throttle),
        ..Options::default()
    };
    let router = router(Arc::new(People(Arc::clone(&shared))), options);
    let listener = match Encrypted::new(listener, shared.tls.clone()) {
        Ok(listener) => listener,
        Err(error) => return warn!(%error, "no webmail"),
    };
    let stop = async move { shared.stopping().await };
    let served = tokio::select! {
        served = hikyaku_webmail::serve(listener, router, stop) => served,
        () = fetching => Ok(()),
    };
    if let Err(error) = served {
        warn!(%error, "no webmail any more");
    }
}

/// Plain HTTP leads to HTTPS and shows nothing.
pub(crate) async fn redirect(shared: Arc<Shared>, listener: TcpListener, https: Option<u16>) {
    let lead = move |request: Request| async move {
        let host = request.headers().get(header::HOST).map(HeaderValue::to_str);
        let (Some(Ok(host)), Some(port)) = (host, https) else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        Redirect::permanent(&format!("https://{name}:{port}{}", request.uri().path()))
            .into_response()
    };
    let stop = async move { shared.stopping().await };
    let router = Router::new().fallback(lead);
    let _ = axum::serve(listener, router)
        .with_graceful_shutdown(stop)
        .await;
}
