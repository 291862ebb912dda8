//! What can be captured from, and why not where not.

use comfy_table::{ContentArrangement, Table, TableStyle, presets::ASCII_MARKDOWN};

use super::{csv::finish, markdown::escape};
use crate::source::Device;

const TITLES: [&str; 5] = ["Interface", "Up", "Capture", "Link type", "Addresses"];

/// The table for reading, at most `width` characters wide, and below it each reason why an
/// interface cannot be captured from.
#[must_use]
pub fn interfaces_table(devices: &[Device], width: usize) -> String {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX))
        .set_header(TITLES);
    for device in devices {
        table.add_row(cells(device));
    }
    let mut text = format!("{table}\n");
    let reasons = reasons(devices);
    if !reasons.is_empty() {
        text.push('\n');
    }
    let indented = textwrap::Options::new(width).subsequent_indent("  ");
    for reason in reasons {
        text += &textwrap::fill(&reason, &indented);
        text.push('\n');
    }
    text.lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

/// The same as Markdown.
#[must_use]
pub fn interfaces_markdown(devices: &[Device]) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(TITLES);
    for device in devices {
        table.add_row(cells(device).iter().map(|cell| escape(cell)));
    }
    let mut blocks = vec![table.to_string()];
    let reasons = reasons(devices);
    if !reasons.is_empty() {
        let items: Vec<_> = reasons
            .iter()
            .map(|text| format!("- {}", escape(text)))
            .collect();
        blocks.push(items.join("\n"));
    }
    blocks.join("\n\n") + "\n"
}

/// One row an interface (RFC 4180), with the members of [`Device`] as columns; addresses are parted
/// by blanks.
///
/// # Panics
///
/// Never: every row has the same columns, and memory takes every write.
#[must_use]
pub fn interfaces_csv(devices: &[Device]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut write = |row: [&str; 6]| {
        writer
            .write_record(row)
            .expect("every row has the same columns");
    };
    write(["name", "up", "capture", "reason", "link_type", "addresses"]);
    for device in devices {
        write([
            &device.name,
            &device.up.to_string(),
            &device.capture.to_string(),
            device.reason.as_deref().unwrap_or_default(),
            device.link_type.as_deref().unwrap_or_default(),
            &addresses(device, " "),
        ]);
    }
    finish(writer)
}

fn cells(device: &Device) -> [String; 5] {
    let or_dash = |text: String| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text
        }
    };
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    [
        device.name.clone(),
        yes(device.up),
        yes(device.capture),
        or_dash(device.link_type.clone().unwrap_or_default()),
        or_dash(addresses(device, ", ")),
    ]
}

fn addresses(device: &Device, separator: &str) -> String {
    let texts: Vec<_> = device.addresses.iter().map(ToString::to_string).collect();
    texts.join(separator)
}

/// Each reason once, behind the interfaces that it is true of.
fn reasons(devices: &[Device]) -> Vec<String> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for device in devices {
        let Some(reason) = device.reason.as_deref() else {
            continue;
        };
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, names)) => names.push(&device.name),
            None => reasons.push((reason, vec![&device.name])),
        }
    }
    reasons
        .into_iter()
        .map(|(reason, names)| format!("{}: {reason}", names.join(", ")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, reason: Option<&str>, addresses: &[&str]) -> Device {
        Device {
            name: name.to_owned(),
            up: reason.is_none(),
            capture: reason.is_none(),
            reason: reason.map(str::to_owned),
            link_type: reason.is_none().then(|| "EN10MB".to_owned()),
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    fn devices() -> Vec<Device> {
        vec![
            device("eth0", None, &["10.77.9.1", "fd77:9::1"]),
            device("a|b", Some("That device is not up"), &[]),
            device("eth1", Some("That device is not up"), &["10.77.8.1"]),
        ]
    }

    #[test]
    fn a_row_an_interface_and_each_reason_once() {
        assert_eq!(
            interfaces_table(&devices(), 80),
            [
                " Interface  Up   Capture  Link type  Addresses",
                " eth0       yes  yes      EN10MB     10.77.9.1, fd77:9::1",
                " a|b        no   no       -          -",
                " eth1       no   no       -          10.77.8.1",
                "",
                "a|b, eth1: That device is not up",
                "",
            ]
            .join("\n")
        );
        let markdown = interfaces_markdown(&devices());
        assert!(markdown.contains(r"| a\|b "), "{markdown}");
        assert!(
            markdown.ends_with("\n\n- a\\|b, eth1: That device is not up\n"),
            "{markdown}"
        );
    }

    #[test]
    fn csv_has_a_row_an_interface() {
        assert_eq!(
            interfaces_csv(&devices()).lines().nth(1).unwrap(),
            "eth0,true,true,,EN10MB,10.77.9.1 fd77:9::1"
        );
    }
}
