//! How mail programs find this server: by files at addresses that each of them knows. All of it is what the server listens
//! for; whether there is an account is never looked at.

mod apple;
mod autoconfig;
mod autodiscover;
mod mta_sts;
mod offers;
mod pages;
mod xml;

pub(crate) use offers::Offers;
pub(crate) use pages::before;
