//! Nothing here: the benchmarks are in `benches/`, the scripts that measure a running server in `scripts/`.
