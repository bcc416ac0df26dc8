//! What accounts send, beside what they may and what is usual for them. The time is passed in.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::Duration;

use crate::config::AccountLimits;

/// Accounts that are remembered. Of more, those are forgotten that have sent nothing for longest.
const MOST: usize = 20_000;
/// How much of the past the usual is made of, in days.
const DAYS: f64 = 14.0;
/// What is forgotten has long ended.
const FORGOTTEN: u64 = 60;
/// A clock that was further ahead than so many seconds was wrong.
const AHEAD: u64 = DAY;
/// Seconds.
const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// What all accounts send.
#[derive(Debug, Default)]
pub(super) struct Sending {
    limits: AccountLimits,
    senders: HashMap<String, Sender>,
    /// Whether there is something to be kept.
    pub(super) is_changed: bool,
}

/// What an account sends, as it is kept. Days are counted from 1970.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Sender {
    day: u64,
    /// Recipients on that day.
    today: u32,
    /// Recipients on a usual day before.
    usual: f64,
    messages_in_hour: Used,
    recipients_in_hour: Used,
    recipients_in_day: Used,
    /// The last day on which it was slowed.
    slowed: u64,
    /// What the operator has set for it: recipients in a day, 0 for no limit.
    #[serde(skip)]
    own: Option<u32>,
}

/// A part of an allowance that is used, at a time in seconds since 1970; it comes back evenly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Used {
    count: f64,
    at: u64,
}

/// An account has to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slowed {
    pub(super) wait: Duration,
    /// The limit, in words.
    pub(super) limit: String,
    /// Whether it is the first time on this day.
    pub(super) is_first: bool,
}

impl Used {
    /// Takes one out of `limit` in `time`, unless that is 0. The error is how long it takes until there is one.
    fn take(&mut self, limit: u32, time: u64, now: u64) -> Result<(), Duration> {
        let (limit, per) = (f64::from(limit), time as f64);
        if limit < 1.0 {
            return Ok(());
        }
        // A clock that goes back gives nothing back.
        let back = now.saturating_sub(self.at) as f64 * limit / per;
        self.count = (self.count - back).max(0.0);
        self.at = self.at.max(now);
        let missing = self.count + 1.0 - limit;
        if missing > 0.0 {
            return Err(Duration::from_secs_f64((missing * per / limit).ceil()));
        }
        self.count += 1.0;
        Ok(())
    }
}

impl Sender {
    /// Forgets times that a clock said which was wrong.
    fn set_right(&mut self, now: u64) {
        if self.day > (now + AHEAD) / DAY {
            self.day = now / DAY;
        }
        for used in [
            &mut self.messages_in_hour,
            &mut self.recipients_in_hour,
            &mut self.recipients_in_day,
        ] {
            if used.at > now + AHEAD {
                used.at = now;
            }
        }
    }

    /// Begins a day: the one before becomes part of what is usual.
    fn begin(&mut self, day: u64) {
        if day <= self.day {
            return;
        }
        let days = i32::try_from(day - self.day).unwrap_or(i32::MAX);
        let after_it = ((DAYS - 1.0) / DAYS).powi(days - 1);
        // What a day on which it was slowed had too much does not make that usual.
        let counted = match self.slowed == self.day {
            true => self.usual.min(f64::from(self.today)),
            false => f64::from(self.today),
        };
        let usual = self.usual * (DAYS - 1.0) / DAYS + counted / DAYS;
        self.usual = usual * after_it;
        (self.day, self.today) = (day, 0);
    }

    /// Recipients in a day, and why it is that many; 0 for no limit.
    fn daily(&self, limits: &AccountLimits) -> (u32, String) {
        let in_words = |count: u32| format!("{count} recipients a day");
        if let Some(own) = self.own {
            return (own, in_words(own));
        }
        let most = limits.recipients_per_day;
        let usual = self.usual * f64::from(limits.sudden_times);
        let sudden = usual.max(f64::from(limits.sudden_recipients)).ceil();
        match limits.sudden_recipients == 0 || (most != 0 && sudden >= f64::from(most)) {
            true => (most, in_words(most)),
            false => (
                sudden as u32,
                format!(
                    "{sudden} recipients a day, since {:.0} are usual",
                    self.usual
                ),
            ),
        }
    }

    fn message(&mut self, limits: &AccountLimits, now: u64) -> Result<(), (Duration, String)> {
        let limit = match self.own {
            Some(_) => 0,
            None => limits.messages_per_hour,
        };
        let taken = self.messages_in_hour.take(limit, HOUR, now);
        taken.map_err(|wait| (wait, format!("{limit} messages an hour")))
    }

    fn recipient(&mut self, limits: &AccountLimits, now: u64) -> Result<(), (Duration, String)> {
        let (daily, why) = self.daily(limits);
        let limit = match self.own {
            Some(_) => 0,
            None => limits.recipients_per_hour,
        };
        let mut in_day = self.recipients_in_day;
        in_day.take(daily, DAY, now).map_err(|wait| (wait, why))?;
        let taken = self.recipients_in_hour.take(limit, HOUR, now);
        taken.map_err(|wait| (wait, format!("{limit} recipients an hour")))?;
        self.recipients_in_day = in_day;
        self.today = self.today.saturating_add(1);
        Ok(())
    }
}

impl Sending {
    pub(super) fn new(limits: AccountLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Reads what was kept. What cannot be read is nothing.
    pub(super) fn read(&mut self, kept: &[u8]) {
        self.senders = serde_json::from_slice(kept).unwrap_or_default();
    }

    /// What is to be kept.
    pub(super) fn written(&self) -> Vec<u8> {
        serde_json::to_vec(&self.senders).unwrap_or_default()
    }

    /// Counts a message. `own` is what the operator has set for the account.
    pub(super) fn message(
        &mut self,
        account: &str,
        own: Option<u32>,
        now: u64,
    ) -> Result<(), Slowed> {
        let limits = self.limits.clone();
        let sender = self.sender(account, now);
        sender.own = own;
        let taken = sender.message(&limits, now);
        slowed(sender, taken, now)
    }

    /// Counts a recipient of a message that was counted.
    pub(super) fn recipient(&mut self, account: &str, now: u64) -> Result<(), Slowed> {
        let limits = self.limits.clone();
        let sender = self.sender(account, now);
        let taken = sender.recipient(&limits, now);
        slowed(sender, taken, now)
    }

    fn sender(&mut self, account: &str, now: u64) -> &mut Sender {
        self.is_changed = true;
        if self.senders.len() >= MOST && !self.senders.contains_key(account) {
            self.make_room(now / DAY);
        }
        let sender = self.senders.entry(account.to_owned()).or_default();
        sender.set_right(now);
        sender.begin(now / DAY);
        sender
    }

    /// Forgets who has sent nothing for long; a tenth of all if need be.
    fn make_room(&mut self, day: u64) {
        self.senders.retain(|_, one| one.day + FORGOTTEN > day);
        if self.senders.len() < MOST {
            return;
        }
        let mut days: Vec<_> = self
            .senders
            .values()
            .map(|one| (one.day, one.today))
            .collect();
        days.sort_unstable();
        let last = days.get(MOST / 10).copied().unwrap_or_default();
        let mut left = MOST / 10;
        self.senders.retain(|_, one| {
            let goes = left > 0 && (one.day, one.today) <= last;
            left -= usize::from(goes);
            !goes
        });
    }
}

fn slowed(
    sender: &mut Sender,
    taken: Result<(), (Duration, String)>,
    now: u64,
) -> Result<(), Slowed> {
    taken.map_err(|(wait, limit)| {
        let before = std::mem::replace(&mut sender.slowed, now / DAY);
        Slowed {
            wait,
            limit,
            is_first: before != now / DAY,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 20_000 * DAY;

    fn sending() -> Sending {
        Sending::new(AccountLimits::default())
    }

    /// How many recipients go through, one a second.
    fn sends(sending: &mut Sending, account: &str, count: u64, from: u64) -> u64 {
        let taken = (0..count).filter(|second| sending.recipient(account, from + second).is_ok());
        taken.count() as u64
    }

    #[test]
    fn an_account_that_suddenly_sends_much_is_slowed_and_one_that_always_does_is_not() {
        let mut sending = sending();
        // A person, for a month.
        for day in 0..30 {
            assert_eq!(sends(&mut sending, "ann", 20, NOW + day * DAY), 20);
            assert_eq!(sends(&mut sending, "list", 400, NOW + day * DAY), 400);
        }
        let now = NOW + 30 * DAY;
        // Then somebody else with the same password: 500, and what comes back in an hour.
        let stolen = sends(&mut sending, "ann", HOUR, now);
        assert!((500..=522).contains(&stolen), "{stolen}");
        let slowed = sending.recipient("ann", now + HOUR).unwrap_err();
        assert!(!slowed.is_first && slowed.wait <= Duration::from_secs(180));
        assert_eq!(slowed.limit, "500 recipients a day, since 18 are usual");
        // 400 a day are usual here, so that what an hour allows holds.
        let list = sends(&mut sending, "list", 2_500, now);
        assert_eq!(list, 2_500, "2000 at once and what came back meanwhile");
        let slowed = (0..2_000).find_map(|_| sending.recipient("list", now + 2_500).err());
        assert_eq!(slowed.unwrap().limit, "2000 recipients an hour");
    }

    #[test]
    fn somebody_who_has_never_sent_may_and_the_first_refusal_of_a_day_is_marked() {
        let mut sending = sending();
        assert_eq!(sends(&mut sending, "new", 500, NOW), 500);
        let mut first = Vec::new();
        for day in [0, 0, 3] {
            let at = NOW + day * DAY + 500;
            let slowed = (0..600).find_map(|_| sending.recipient("new", at).err());
            first.push(slowed.unwrap().is_first);
        }
        assert_eq!(first, [true, false, true]);
    }

    #[test]
    fn what_was_stolen_does_not_become_usual() {
        let mut sending = sending();
        let mut days = Vec::new();
        for day in 0..4 {
            let start = NOW + day * DAY;
            days.push(
                (0..DAY / 30)
                    .filter(|n| sending.recipient("ann", start + 30 * n).is_ok())
                    .count(),
            );
        }
        // At once and again over the day, and then what comes back in a day.
        assert!(
            days[0] <= 1_001 && days[1..].iter().all(|day| *day <= 501),
            "{days:?}"
        );
    }

    #[test]
    fn messages_have_a_limit_and_what_the_operator_sets_outdoes_all() {
        let mut sending = sending();
        let messages = |sending: &mut Sending, own| {
            let all = (0..3_000).filter(|_| sending.message("ann", own, NOW).is_ok());
            all.count()
        };
        assert_eq!(messages(&mut sending, None), 1_000);
        assert_eq!(messages(&mut sending, Some(20_000)), 3_000);
        let recipients = (0..30_000).filter(|_| sending.recipient("ann", NOW).is_ok());
        assert_eq!(recipients.count(), 20_000);
        assert_eq!(messages(&mut sending, Some(0)), 3_000);
        let recipients = (0..30_000).filter(|_| sending.recipient("ann", NOW).is_ok());
        assert_eq!(recipients.count(), 30_000);
    }

    #[test]
    fn nothing_is_forgotten_over_a_restart_and_memory_is_bounded() {
        let mut sending = sending();
        assert_eq!(sends(&mut sending, "ann", 600, NOW), 500 + 3);
        let mut after = super::tests::sending();
        after.read(&sending.written());
        assert_eq!(after.senders, sending.senders);
        assert!(after.recipient("ann", NOW + 600).is_err());
        after.read(b"{ not JSON");
        assert!(after.recipient("ann", NOW + 600).is_ok());
        for number in 0..2 * MOST {
            let _ = sending.recipient(&format!("account{number}"), NOW + DAY);
            assert!(sending.senders.len() <= MOST);
        }
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let mut sending = sending();
        assert_eq!(sends(&mut sending, "ann", 600, NOW), 503);
        assert!(sending.recipient("ann", NOW - DAY / 2).is_err());
        assert!(sending.recipient("ann", NOW + 600).is_err());
    }

    #[test]
    fn a_clock_that_was_ahead_costs_an_hour_or_a_day_and_no_more() {
        for days in [2, 20, 3_650] {
            let mut sending = sending();
            let ahead = NOW + days * DAY;
            assert!(sends(&mut sending, "ann", 600, ahead) >= 500);
            assert!(sending.recipient("ann", NOW).is_err());
            assert!(sends(&mut sending, "ann", 600, NOW + DAY) >= 500, "{days}");
        }
    }
}
