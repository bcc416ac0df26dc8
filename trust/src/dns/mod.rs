//! Questions to DNS: the trait [`Ask`] that a caller's resolver implements, and [`Resolver`] for those who have none.

mod answer;
mod questions;
mod resolver;

pub use answer::{Answer, Ask, Asking, Family, Unanswered};
pub(crate) use questions::Questions;
pub use resolver::{NoResolver, Resolver};
