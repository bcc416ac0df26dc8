#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod authors;
mod checker;
mod checks;
mod decide;
mod decision;
pub mod dns;
mod domain;
mod limits;
mod outcome;
mod own;
mod policy;
mod reporting;
pub mod reports;
mod results;
mod sealing;
mod section;
pub mod signing;
mod spf;
pub mod srs;
mod verdicts;

pub use authors::Authors;
pub use checker::{Arrival, Checked, Checker, IsRewritten};
pub use decision::{Decision, Reply};
pub use limits::Limits;
pub use outcome::Outcome;
pub use policy::{DmarcPolicy, Policies, Policy};
pub use results::{fields_named, foreign_results};
pub use verdicts::{Arc, Destination, Dmarc, Iprev, Published, Signature, Spf, Verdicts, Wish};
