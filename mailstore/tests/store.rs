//! The conformance suite on the two backends, and what only a durable one must bear.
#![cfg(all(feature = "conformance", feature = "disk"))]

mod disk;

mod memory {
    use hikyaku_mailstore::{Memory, Store};
    use std::sync::Arc;

    hikyaku_mailstore::conformance_suite!(((), Arc::new(Memory::new()) as Arc<dyn Store>));
}
