//! The integration tests' frames, for those tests that need the library's insides.

#[path = "../tests/support/frames.rs"]
#[allow(dead_code, unreachable_pub, reason = "made for integration tests")]
mod frames;

/// What the frames need of the integration tests' captures.
mod capture {
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum ByteOrder {
        Little,
        Big,
    }

    pub(crate) const ORDERS: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];
}

pub(crate) use frames::*;
