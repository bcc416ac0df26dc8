//! Allocations and peak memory of reading the same octets with each crate.
//!
//! `cargo bench -p hikyaku-benches --bench imap_memory`

#[allow(dead_code, reason = "shared with imap_peers")]
mod peers;

use peers::{READERS, works};

fn main() {
    let readers = &READERS[..4];
    println!(
        "| work | {} |",
        readers
            .iter()
            .map(|(name, _)| *name)
            .collect::<Vec<_>>()
            .join(" | ")
    );
    println!("|{}", "---|".repeat(readers.len() + 1));
    for work in works(1) {
        let mut cells = Vec::new();
        for (_, read) in readers {
            let mut items = 0;
            let allocated = allocation_counter::measure(|| items = read(&work));
            cells.push(match items {
                0 => "cannot".into(),
                _ => format!(
                    "{:.2} an item, peak {:.1} KiB",
                    allocated.count_total as f64 / work.items as f64,
                    allocated.bytes_max as f64 / 1024.0
                ),
            });
        }
        println!("| {} | {} |", work.name, cells.join(" | "));
    }
}
