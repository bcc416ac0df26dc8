//! A session as it is kept in the store, among the properties of its account. Who has the store alone has nothing:
//! tokens are there as hashes, and a password, where one is needed, is encrypted with a key made of the token, which
//! only the browser has.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hikyaku_mailstore::{Account, Operation};
use hikyaku_wire::Secret;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

const PREFIX: &str = "webmail/session/";

/// What is kept of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Kept {
    /// The hash of what its forms have.
    pub(super) form: String,
    /// When it was used last, in seconds since 1970.
    pub(super) used: i64,
    /// Somebody logged out. It is kept to know whose forms its forms were.
    pub(super) ended: bool,
    /// The language that was chosen, or nothing.
    pub(super) language: String,
    /// What the password was, as the backend says it.
    pub(super) stamp: String,
    /// Name and password, encrypted.
    pub(super) sealed: String,
}

fn hash(purpose: &str, token: &str) -> [u8; 32] {
    // Tokens are of 256 random bits: a hash that is quick is enough.
    Sha256::digest(format!("hikyaku webmail {purpose}\0{token}")).into()
}

pub(super) fn hex(octets: &[u8]) -> String {
    use std::fmt::Write as _;
    octets.iter().fold(String::new(), |mut word, octet| {
        let _ = write!(word, "{octet:02x}");
        word
    })
}

/// What the forms of a session have: made of its token, which it does not give away.
pub(super) fn csrf_of(token: &str) -> String {
    let account = token.split_once('.').map_or("", |(_, account)| account);
    format!("{}.{account}", hex(&hash("form", token)))
}

/// The hash by which a form's token is known.
pub(super) fn form_of(csrf: &str) -> String {
    hex(&hash("form kept", csrf))
}

fn key_of(token: &str) -> String {
    format!("{PREFIX}{}", hex(&hash("session", token)))
}

/// The key of a session's password. It encrypts one text only, so that its nonce may be always the same.
fn sealing(token: &str) -> Option<(LessSafeKey, Nonce)> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, &hash("password", token)).ok()?;
    let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
    Some((LessSafeKey::new(key), nonce))
}

impl Kept {
    fn read(value: &[u8]) -> Option<Self> {
        toml::from_slice(value).ok()
    }

    /// The session of that token.
    pub(super) fn of_token(account: &Account, token: &str) -> Option<Self> {
        account
            .properties
            .get(&key_of(token))
            .and_then(|value| Self::read(value))
    }

    /// The session whose forms have that.
    pub(super) fn of_form(account: &Account, csrf: &str) -> Option<Self> {
        let form = form_of(csrf);
        let mut all = Self::all(account);
        all.find(|(_, one)| one.form == form).map(|(_, one)| one)
    }

    fn all(account: &Account) -> impl Iterator<Item = (&String, Self)> {
        let all = account.properties.iter();
        let own = all.filter(|(key, _)| key.starts_with(PREFIX));
        own.map(|(key, value)| (key, Self::read(value).unwrap_or_default()))
    }

    /// The others of its account.
    pub(super) fn others(account: &Account, token: &str) -> Vec<(String, Self)> {
        let own = key_of(token);
        let others = Self::all(account).filter(|(key, _)| **key != own);
        others.map(|(key, one)| (key.clone(), one)).collect()
    }

    /// Keeps it, or with `None` forgets it.
    pub(super) fn set(token: &str, kept: Option<&Self>) -> Operation {
        let value = kept.and_then(|kept| toml::to_string(kept).ok());
        Operation::SetProperty {
            key: key_of(token),
            value: value.map(Bytes::from),
        }
    }

    /// Name and password, so that only the token opens them.
    pub(super) fn seal(token: &str, name: &str, password: &Secret) -> String {
        let mut octets = [name.as_bytes(), b"\0", password.expose()].concat();
        let sealed = sealing(token).and_then(|(key, nonce)| {
            key.seal_in_place_append_tag(nonce, Aad::empty(), &mut octets)
                .ok()
        });
        sealed.map_or_else(String::new, |()| STANDARD.encode(octets))
    }

    /// Name and password.
    pub(super) fn unseal(&self, token: &str) -> Option<(String, Secret)> {
        let mut octets = STANDARD.decode(&self.sealed).ok()?;
        let (key, nonce) = sealing(token)?;
        let opened = key.open_in_place(nonce, Aad::empty(), &mut octets).ok()?;
        let end = opened.iter().position(|&octet| octet == 0)?;
        let (name, password) = opened.split_at(end);
        let name = String::from_utf8(name.to_vec()).ok()?;
        Some((name, Secret::from(password.get(1..)?.to_vec())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_opens_a_password() {
        let token = format!("{}.7", "ab".repeat(32));
        let password = Secret::from("sésame\0x".as_bytes().to_vec());
        let kept = Kept {
            sealed: Kept::seal(&token, "bob", &password),
            ..Kept::default()
        };
        let (name, opened) = kept.unseal(&token).unwrap();
        assert_eq!((name.as_str(), opened.expose()), ("bob", password.expose()));
        let others = [
            format!("{}.8", "ab".repeat(32)),
            format!("{}.7", "ac".repeat(32)),
            String::new(),
            csrf_of(&token),
        ];
        for other in others {
            assert!(kept.unseal(&other).is_none(), "{other}");
        }
        let written = toml::to_string(&kept).unwrap();
        assert_eq!(Kept::read(written.as_bytes()), Some(kept));
        assert!(!written.contains(&token[..64]) && !written.contains("same"));
    }
}
