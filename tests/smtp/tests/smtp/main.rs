//! `mailserver`'s SMTP with programs nobody here wrote.

mod bdat;
mod lmtp;
mod loops;
mod manners;
mod msmtp;
mod notifications;
mod postfix;
mod smarthost;
mod swaks;
mod thousands;
