//! `[limits]`: how much there may be, at a time and in a time.

use serde::Deserialize;
use std::net::IpAddr;

use super::size::Size;
use crate::network::{Network, Networks};

/// `[limits]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Limits {
    /// The largest message, in octets.
    pub message_size: Size,
    /// The quota of a new account, in octets.
    pub quota: Size,
    /// The most connections at a time; fewer if there are not two file descriptors for each.
    pub connections: usize,
    /// The most connections for each protocol from one IPv4 address or one IPv6 /64.
    pub connections_per_ip: usize,
    /// The most new connections in a minute for each protocol from one IPv4 address or one IPv6 /64; four times as many from
    /// its /24 or /48. 0 is no limit.
    pub connections_per_minute: u32,
    /// The same for messages of clients that have not logged in.
    pub messages_per_minute: u32,
    /// The same for their recipients.
    pub recipients_per_minute: u32,
    /// The same for recipients that are not here, in an hour.
    pub unknown_recipients_per_hour: u32,
    /// Networks that these limits by time do not hold for.
    pub exempt: Networks,
    /// What an account may send.
    pub account: AccountLimits,
}

/// `[limits.account]`: what an account may send. 0 is no limit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct AccountLimits {
    /// Messages in an hour.
    pub messages_per_hour: u32,
    /// Recipients in an hour.
    pub recipients_per_hour: u32,
    /// Recipients in a day.
    pub recipients_per_day: u32,
    /// Recipients in a day that are sudden when they are also more than `sudden_times` what is usual for the account.
    pub sudden_recipients: u32,
    /// How many times the usual is sudden.
    pub sudden_times: u32,
}

impl Default for Limits {
    fn default() -> Self {
        // What is on this machine, a webmail or a proxy, speaks for others.
        let loopback = [
            Network::new(IpAddr::from([127, 0, 0, 0]), 8),
            Network::new(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]), 128),
        ];
        Self {
            message_size: Size(50 << 20),
            quota: Size(1 << 30),
            connections: 4096,
            connections_per_ip: 64,
            connections_per_minute: 300,
            messages_per_minute: 300,
            recipients_per_minute: 1_000,
            unknown_recipients_per_hour: 30,
            exempt: Networks(loopback.into()),
            account: AccountLimits::default(),
        }
    }
}

impl Default for AccountLimits {
    fn default() -> Self {
        Self {
            messages_per_hour: 1_000,
            recipients_per_hour: 2_000,
            recipients_per_day: 10_000,
            sudden_recipients: 500,
            sudden_times: 10,
        }
    }
}
