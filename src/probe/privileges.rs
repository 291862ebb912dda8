//! Giving up what only opening the sockets took.

/// Drops all of this thread's capabilities, and so those of the threads it starts; where there
/// are none, or nothing of that kind, nothing happens.
///
/// # Errors
/// Those of `capset(2)`.
#[cfg(target_os = "linux")]
pub fn drop_capabilities() -> std::io::Result<()> {
    use caps::{CapSet, CapsHashSet};

    let none = CapsHashSet::new();
    // The effective ones first: they must stay within the permitted ones.
    for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        caps::set(None, set, &none).map_err(std::io::Error::other)?;
    }
    Ok(())
}

/// Other systems know no capabilities.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn drop_capabilities() -> std::io::Result<()> {
    Ok(())
}
