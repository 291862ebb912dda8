//! What this process can capture from.

use std::net::IpAddr;

use serde::Serialize;

/// A network interface of this host, or `any` for all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Device {
    /// Its name, for `live:NAME`.
    pub name: String,
    /// Whether it is up; `any` always is.
    pub up: bool,
    /// Whether this process can capture from it now.
    pub capture: bool,
    /// Why it cannot, and what can be done about it.
    pub reason: Option<String>,
    /// How frames from it are to be read; known where it can be captured from.
    pub link_type: Option<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// The interfaces that IP may cross, in libpcap's order; each is captured from for a moment. What
/// else libpcap knows of (USB, Bluetooth, D-Bus, netfilter) is left out.
///
/// # Errors
/// libpcap's words when it cannot list them.
#[cfg(feature = "libpcap")]
pub fn devices() -> Result<Vec<Device>, String> {
    let listed = pcap::Device::list().map_err(super::filter::words)?;
    let is_network = |device: &pcap::Device| {
        let name = device.name.as_str();
        name == "any" || nix::net::if_::if_nametoindex(name).is_ok()
    };
    Ok(listed.into_iter().filter(is_network).map(probed).collect())
}

/// The interface, with what trying it tells.
#[cfg(feature = "libpcap")]
fn probed(device: pcap::Device) -> Device {
    use super::{Error, LiveOptions, Source};

    let options = LiveOptions {
        // It is not going to be read.
        buffer_len: 64 * 1024,
        ..LiveOptions::default()
    };
    let (link_type, reason) = match Source::open_live(&device.name, &options) {
        Ok(source) => (source.summary().link_types.first().copied(), None),
        Err(Error::Capture { why, .. }) => (None, Some(why)),
        Err(Error::NotPermitted { .. }) => (None, Some(super::NOT_PERMITTED.to_owned())),
        Err(other) => (None, Some(other.to_string())),
    };
    Device {
        up: device.flags.is_up() || device.name == "any",
        capture: reason.is_none(),
        reason,
        link_type: link_type.map(|link_type| link_type.to_string()),
        addresses: device.addresses.iter().map(|known| known.addr).collect(),
        name: device.name,
    }
}
