//! One person in one browser.

use axum::http::HeaderMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::kept::{self, Kept};
use crate::User;
use crate::words::{Language, Words};
use hikyaku_mailstore::unix_now;

/// What the names of sessions begin with that the application around it vouches for.
pub(super) const VOUCHED: &str = "signed in: ";

/// One person in one browser.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) user: User,
    /// What each form must have.
    pub(crate) csrf: String,
    pub(super) language: Mutex<Option<Language>>,
    /// When it was used last, and when that was written down; in seconds since 1970.
    pub(super) used: AtomicI64,
    pub(super) written: AtomicI64,
    pub(super) ended: AtomicBool,
    pub(super) token: String,
    /// What the password was when it began, as the backend says it.
    pub(super) stamp: String,
    /// Name and password, encrypted with the token, where the backend needs them.
    pub(super) sealed: String,
}

impl Session {
    pub(super) fn new(token: String, user: User) -> Self {
        Self {
            user,
            csrf: kept::csrf_of(&token),
            language: Mutex::default(),
            used: AtomicI64::new(unix_now()),
            written: AtomicI64::new(0),
            ended: AtomicBool::new(false),
            token,
            stamp: String::new(),
            sealed: String::new(),
        }
    }

    pub(super) fn continued(token: String, user: User, kept: &Kept) -> Self {
        let language = (!kept.language.is_empty()).then(|| Language::named(&kept.language));
        Self {
            language: Mutex::new(language),
            stamp: kept.stamp.clone(),
            sealed: kept.sealed.clone(),
            ..Self::new(token, user)
        }
    }

    /// What is kept of it.
    pub(super) fn kept(&self, now: i64) -> Kept {
        self.written.store(now, Ordering::Relaxed);
        let ended = self.ended.load(Ordering::Relaxed);
        let language = *self.language.lock().unwrap_or_else(PoisonError::into_inner);
        Kept {
            form: kept::form_of(&self.csrf),
            used: self.used(),
            ended,
            language: language.map_or("", |one| one.words().code).into(),
            stamp: self.stamp.clone(),
            sealed: if ended {
                String::new()
            } else {
                self.sealed.clone()
            },
        }
    }

    pub(super) fn used(&self) -> i64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn touch(&self, now: i64) {
        self.used.store(now, Ordering::Relaxed);
    }

    pub(super) fn kept_at(&self) -> i64 {
        self.written.load(Ordering::Relaxed)
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Whether it began with a login here, and not with one of the application around it.
    pub(super) fn is_own_login(&self) -> bool {
        !self.token.starts_with(VOUCHED)
    }

    /// Whether a form was made for this session. Compared without a hint of where it differs.
    pub(crate) fn is_own(&self, token: &str) -> bool {
        let (a, b) = (self.csrf.as_bytes(), token.as_bytes());
        a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
    }

    pub(crate) fn language(&self, headers: &HeaderMap) -> Language {
        let chosen = *self.language.lock().unwrap_or_else(PoisonError::into_inner);
        chosen.unwrap_or_else(|| Language::of(headers))
    }

    /// Has the pages in the other language from now on.
    pub(crate) fn other_language(&self, w: &Words) {
        let other = Language::named(if w.code == "en" { "ja" } else { "en" });
        *self.language.lock().unwrap_or_else(PoisonError::into_inner) = Some(other);
    }
}
