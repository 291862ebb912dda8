//! A packet costs no allocation, neither sent nor received, with its log and its row.
#![cfg(feature = "cli")]

mod support;

use std::{env, fmt::Display, io, ops::ControlFlow, time::Duration};

use hdp::{
    hdp::PORT,
    log::{self, SentPacket, Start, write_line},
    probe::{Interrupt, IpOptions, Listener, Order, Round, Schedule, Sender, Subject},
    report::{Align, Column, OrDash, RowFormat, Rows},
};
use support::hosts;

const INSIDE: &str = "HDP_TEST_IS_INSIDE_A_NAMESPACE";

/// Runs itself again on a host of its own, where it measures.
#[test]
fn a_packet_costs_no_allocation() {
    if env::var_os(INSIDE).is_some() {
        return measure();
    }
    let Some(host) = hosts::host("allocation") else {
        return;
    };
    let itself = env::current_exe().unwrap();
    let mut command = host.command(itself.to_str().unwrap());
    command.args(["--exact", "a_packet_costs_no_allocation"]);
    hosts::success(command.env(INSIDE, "1"));
}

fn measure() {
    let interrupt = Interrupt::install().unwrap();
    let mut listener = Listener::open(
        Subject {
            protocols: "253".parse().unwrap(),
            versions: vec![4, 6],
            window_ns: 1_000_000_000,
            answer: false,
        },
        &interrupt,
    )
    .unwrap();
    for destination in ["127.0.0.1", "::1"] {
        let destination = (destination.parse::<std::net::IpAddr>().unwrap(), 0).into();
        let mut allocations = |rounds| {
            let sender = Sender::open(Schedule {
                destination,
                protocols: "0,253,256".parse().unwrap(),
                rounds,
                interval: Duration::ZERO,
                source_port: PORT,
                destination_port: PORT,
                ip: IpOptions::default(),
                payload: vec![7; 100],
                control: true,
                order: Order::Shuffled(7),
                heartbeat: false,
            })
            .unwrap();
            allocation_counter::measure(|| run(&sender, &mut listener, &interrupt, rounds.into()))
                .count_total
        };
        // Buffers grow to their size once.
        allocations(10);
        assert_eq!(allocations(10), allocations(1_000), "{destination}");
    }
}

const COLUMNS: [Column; 2] = [
    Column {
        title: "Protocol",
        width: 8,
        align: Align::Right,
    },
    Column {
        title: "Failure",
        width: 8,
        align: Align::Left,
    },
];

/// Sends all and receives all, each packet with its log's line and a row in every format.
fn run(sender: &Sender, listener: &mut Listener, interrupt: &Interrupt, rounds: u64) {
    let start = Start::Send(sender.start());
    let fields = SentPacket::FIELDS;
    let formats = [
        RowFormat::Table,
        RowFormat::Markdown,
        RowFormat::Csv,
        RowFormat::Json,
    ];
    let begin = |format| Rows::begin(io::sink(), format, &COLUMNS, &fields, &start).unwrap();
    let mut rows = formats.map(begin);
    let mut received = 0;
    let interrupted = sender.run(interrupt, |attempt| {
        let record = sender.record(&attempt);
        write_line(&mut io::sink(), &record)?;
        let failure = OrDash(attempt.result.err());
        let cells: [&dyn Display; 2] = [&record.requested, &failure];
        for rows in &mut rows {
            rows.row(&cells, &record)?;
        }
        receive(listener, &mut received).map(drop)
    });
    assert!(!interrupted.unwrap());
    while receive(listener, &mut received).unwrap() != Round::Nothing {}
    // 253, and the three controls of a round.
    assert_eq!(received, 4 * rounds);
}

fn receive(listener: &mut Listener, received: &mut u64) -> io::Result<Round> {
    listener.receive(Duration::ZERO, |event| {
        let record: log::ReceivedPacket = event.record;
        write_line(&mut io::sink(), &record)?;
        *received += 1;
        Ok(ControlFlow::Continue(()))
    })
}
