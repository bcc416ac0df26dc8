//! Sessions: who is logged in, in which browser. They outlive this process where the backend has a store for them.

use bytes::Bytes;
use hikyaku_client::Error;
use hikyaku_mailstore::{Account, AccountId, Operation, Store, Transaction};
use hikyaku_wire::Secret;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::kept::Kept;
use super::one::Session;
use super::random::random;
use crate::{Backend, User};
use hikyaku_mailstore::unix_now;

/// The most sessions in memory; the one that was used longest ago goes first.
const SESSIONS: usize = 10_000;
/// The most sessions that are remembered after their end, where no store remembers them.
const OVER: usize = 1000;
/// The most sessions that an account keeps; the one that was used longest ago goes first.
const OF_ACCOUNT: usize = 20;
/// How long it is remembered after a session whose its forms are.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);

pub(crate) struct Sessions {
    idle: Duration,
    backend: Arc<dyn Backend>,
    all: Mutex<HashMap<String, Arc<Session>>>,
    over: Mutex<VecDeque<Arc<Session>>>,
}

/// The account at the end of a token, or of what a form has.
pub(super) fn account_of(token: &str) -> Option<AccountId> {
    let (secret, account) = token.split_once('.')?;
    let is_secret = secret.len() == 64 && secret.bytes().all(|octet| octet.is_ascii_hexdigit());
    account.parse().ok().filter(|_| is_secret).map(AccountId)
}

impl Sessions {
    pub(crate) fn new(idle: Duration, backend: Arc<dyn Backend>) -> Self {
        Self {
            idle,
            backend,
            all: Mutex::default(),
            over: Mutex::default(),
        }
    }

    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn over(&self) -> std::sync::MutexGuard<'_, VecDeque<Arc<Session>>> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one, of somebody who logged in with that name and password.
    pub(crate) async fn begin(&self, user: User, name: &str, password: &Secret) -> Arc<Session> {
        let account = user.local.account_id();
        let token = format!("{}.{}", random(), account.0);
        let mut session = Session::new(token, user);
        if let Some(store) = self.backend.sessions() {
            let kept = store.account_by_id(account).await.ok().flatten();
            session.stamp = kept.map_or_else(String::new, |kept| self.backend.stamp(&kept));
            if self.backend.needs_password() {
                session.sealed = Kept::seal(&session.token, name, password);
            }
        }
        let session = self.put(session);
        self.keep(&session).await;
        session
    }

    /// Begins one of somebody whom the application around it has logged in.
    pub(crate) fn vouched(&self, token: String, user: User) -> Arc<Session> {
        self.put(Session::new(token, user))
    }

    fn put(&self, session: Session) -> Arc<Session> {
        let mut all = self.all();
        let (live, over): (HashMap<_, _>, HashMap<_, _>) = std::mem::take(&mut *all)
            .into_iter()
            .partition(|(_, session)| self.is_live(session));
        *all = live;
        for session in over.into_values() {
            self.remember(session);
        }
        if all.len() >= SESSIONS {
            let oldest = all.iter().min_by_key(|(_, session)| session.used());
            let oldest = oldest.map(|(token, _)| token.clone());
            if let Some(session) = oldest.and_then(|token| all.remove(&token)) {
                self.remember(session);
            }
        }
        // Two requests may continue one at a time.
        let token = session.token.clone();
        Arc::clone(all.entry(token).or_insert_with(|| Arc::new(session)))
    }

    fn remember(&self, session: Arc<Session>) {
        let mut over = self.over();
        over.push_front(session);
        over.truncate(OVER);
    }

    fn is_live(&self, session: &Session) -> bool {
        self.is_in_time(session.used(), self.idle)
    }

    fn is_in_time(&self, used: i64, most: Duration) -> bool {
        unix_now().saturating_sub(used) < i64::try_from(most.as_secs().max(1)).unwrap_or(i64::MAX)
    }

    /// The session of a token that a browser has.
    pub(crate) async fn get(&self, token: &str) -> Option<Arc<Session>> {
        let known = self.all().get(token).cloned();
        let session = match known {
            Some(session) => {
                if !self.is_live(&session) {
                    return None;
                }
                if !self.is_of_now(&session).await {
                    self.all().remove(token);
                    return None;
                }
                session
            }
            None => self.continued(token).await?,
        };
        session.touch(unix_now());
        // Not with each request.
        let most = i64::try_from(self.idle.as_secs() / 10)
            .unwrap_or(60)
            .min(60);
        if unix_now().saturating_sub(session.kept_at()) >= most.max(1) {
            self.keep(&session).await;
        }
        Some(session)
    }

    /// Whether its account is there, with the password that it began with.
    async fn is_of_now(&self, session: &Session) -> bool {
        let Some(store) = self.backend.sessions().filter(|_| session.is_own_login()) else {
            return true;
        };
        match store.account_by_id(session.user.local.account_id()).await {
            Ok(Some(account)) => self.backend.stamp(&account) == session.stamp,
            Ok(None) => false,
            // The page will say what is wrong.
            Err(_) => true,
        }
    }

    async fn account(&self, id: AccountId) -> Option<(Arc<dyn Store>, Account)> {
        let store = self.backend.sessions()?;
        let account = store.account_by_id(id).await.ok().flatten()?;
        Some((store, account))
    }

    /// One from before this process began.
    async fn continued(&self, token: &str) -> Option<Arc<Session>> {
        let (store, account) = self.account(account_of(token)?).await?;
        let kept = Kept::of_token(&account, token)?;
        if kept.ended || !self.is_in_time(kept.used, self.idle) {
            return None;
        }
        let is_stamped = kept.stamp == self.backend.stamp(&account);
        let login = match self.backend.needs_password() {
            true => Some(kept.unseal(token)?),
            false => None,
        };
        let user = match self.backend.resume(&account, login).await {
            Ok(user) if is_stamped => user,
            Err(Error::Login(_)) | Ok(_) => {
                let forget = Kept::set(token, None);
                let forgetting = Transaction::new(account.id).with(forget);
                let _ = store.commit(forgetting).await;
                return None;
            }
            Err(_) => return None,
        };
        let session = Session::continued(token.to_owned(), user, &kept);
        Some(self.put(session))
    }

    /// Whose form that is, by its token: of a session that is, or of one that is over. For keeping what was written
    /// in it, and for nothing else.
    pub(crate) async fn author(&self, csrf: &str) -> Option<User> {
        let id = account_of(csrf);
        let known = {
            let all = self.all();
            let mut all = all.values();
            all.find(|session| session.is_own(csrf)).cloned()
        };
        let known = known.or_else(|| {
            let over = self.over();
            over.iter().find(|session| session.is_own(csrf)).cloned()
        });
        if let Some(session) = known {
            return match self.is_of_now(&session).await {
                true => Some(session.user.clone()),
                false => None,
            };
        }
        let (_, account) = self.account(id?).await?;
        let kept = Kept::of_form(&account, csrf)?;
        let is =
            self.is_in_time(kept.used, REMEMBERED) && kept.stamp == self.backend.stamp(&account);
        match is {
            true => self.backend.resume(&account, None).await.ok(),
            false => None,
        }
    }

    /// Ends one.
    pub(crate) async fn end(&self, session: &Arc<Session>) {
        self.all().remove(&session.token);
        session.end();
        self.remember(Arc::clone(session));
        self.keep(session).await;
    }

    /// Writes one down. Failing that, it ends with this process.
    pub(crate) async fn keep(&self, session: &Session) {
        if !session.is_own_login() {
            return;
        }
        let id = session.user.local.account_id();
        let Some((store, account)) = self.account(id).await else {
            return;
        };
        let kept = session.kept(unix_now());
        let mut others = Kept::others(&account, &session.token);
        others.sort_by_key(|(_, one)| std::cmp::Reverse(one.used));
        let mut transaction = Transaction::new(id).with(Kept::set(&session.token, Some(&kept)));
        for (index, (key, one)) in others.into_iter().enumerate() {
            if index + 1 >= OF_ACCOUNT || !self.is_in_time(one.used, REMEMBERED.max(self.idle)) {
                transaction = transaction.with(Operation::SetProperty {
                    key,
                    value: None::<Bytes>,
                });
            }
        }
        let _ = store.commit(transaction).await;
    }
}
