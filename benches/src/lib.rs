//! Empty: the benchmarks are in `benches/`, the scripts that measure a running server in `scripts/`.
#![allow(
    clippy::exhaustive_structs,
    clippy::exhaustive_enums,
    reason = "benches write them out"
)]
