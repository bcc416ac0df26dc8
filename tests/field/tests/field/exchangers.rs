//! Exchangers for the relay, each answer scripted.
