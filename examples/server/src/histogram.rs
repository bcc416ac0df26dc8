//! Histograms of times, in Prometheus' text format.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What conversations and disks take, in seconds.
pub(crate) const SHORT: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];
/// What queues and sessions take: up to the five days after which a message expires.
pub(crate) const LONG: &[f64] = &[
    0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0, 432_000.0,
];

/// How long something took, counted by size.
#[derive(Debug)]
pub(crate) struct Histogram {
    /// The upper bounds of the buckets; above them is one more.
    bounds: &'static [f64],
    buckets: Vec<AtomicU64>,
    microseconds: AtomicU64,
}

impl Histogram {
    pub(crate) fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            buckets: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            microseconds: AtomicU64::new(0),
        }
    }

    /// Counts one more.
    pub(crate) fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let nth = self.bounds.partition_point(|bound| *bound < seconds);
        if let Some(bucket) = self.buckets.get(nth) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }

    /// Writes the samples. `labels` are `name="value"`, or nothing.
    pub(crate) fn write(&self, name: &str, labels: &str, page: &mut String) {
        // The count is what the buckets hold, so that a page agrees with itself.
        let mut count = 0;
        let comma = if labels.is_empty() { "" } else { "," };
        let bounds = self.bounds.iter().map(ToString::to_string);
        for (bucket, bound) in self.buckets.iter().zip(bounds.chain(["+Inf".into()])) {
            count += bucket.load(Ordering::Relaxed);
            let _ = writeln!(
                page,
                "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}"
            );
        }
        let braces = match labels {
            "" => String::new(),
            labels => format!("{{{labels}}}"),
        };
        let sum = self.microseconds.load(Ordering::Relaxed) as f64 / 1e6;
        let _ = writeln!(page, "{name}_sum{braces} {sum}");
        let _ = writeln!(page, "{name}_count{braces} {count}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_below_their_bounds() {
        let histogram = Histogram::new(&[0.1, 1.0]);
        for milliseconds in [100, 101, 1_000, 5_000] {
            histogram.observe(Duration::from_millis(milliseconds));
        }
        let mut page = String::new();
        histogram.write("x_seconds", "", &mut page);
        let expected = "x_seconds_bucket{le=\"0.1\"} 1\nx_seconds_bucket{le=\"1\"} 3\n\
                        x_seconds_bucket{le=\"+Inf\"} 4\nx_seconds_sum 6.201\nx_seconds_count 4\n";
        assert_eq!(page, expected);
        page.clear();
        histogram.write("x_seconds", "a=\"b\"", &mut page);
        assert!(page.contains("x_seconds_bucket{a=\"b\",le=\"0.1\"} 1\n"));
        assert!(page.contains("x_seconds_sum{a=\"b\"} 6.201\n"));
    }
}
