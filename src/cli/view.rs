//! The view on the terminal, or line by line: the findings so far while points are being read, or those of
//! files that have been.
//!
//! Nothing here is waited for by a reader. The findings are computed by a thread that rests
//! [`SHARE`] times as long as it worked, and drawn by another one that also reads the keys.

use std::{
    io::{self, Write as _},
    time::{Duration, Instant},
};

#[cfg(feature = "view")]
use crate::findings::{Findings, Packet};
use crate::{
    path::Session,
    probe,
    source::now_ns,
    view::{Changes, Look},
};

#[cfg(feature = "view")]
use screen::Terminal;

/// How often there is something new.
const REFRESH: Duration = Duration::from_millis(500);

/// Pipes that are read sooner show nothing.
const LONG: Duration = Duration::from_secs(1);

/// How many times as long as finding out took, it rests.
const SHARE: u32 = 4;

/// Shows what the session knows, until its points are read. Pipes may be at their end before anybody
/// wonders.
pub(super) fn show(session: &Session, is_live: bool) {
    let patience = if is_live { Duration::ZERO } else { LONG };
    if session.wait(patience) {
        return;
    }
    // It looks at what came from the network.
    if probe::drop_capabilities().is_err() {
        return;
    }
    #[cfg(feature = "view")]
    if let Some(terminal) = Terminal::open() {
        // A terminal that goes away takes the view with it, not the capture.
        let _ = terminal.show(session);
        return;
    }
    lines(session);
}

/// Shows the findings of files until the user leaves, with these packets of each number.
#[cfg(feature = "view")]
pub(super) fn browse(findings: Findings, packets: &[Packet]) -> anyhow::Result<()> {
    let Some(terminal) = Terminal::open() else {
        anyhow::bail!("--view: needs a terminal on standard error");
    };
    Ok(terminal.browse(findings, packets)?)
}

/// Tells changes of verdicts on standard error.
fn lines(session: &Session) {
    let mut looker = Looker::new(session);
    let mut changes = Changes::default();
    while !session.wait(looker.rest) {
        let look = looker.look(None);
        for line in changes.since_last(&look, now_ns()) {
            // Nobody may be listening.
            let _ = writeln!(io::stderr(), "{line}");
        }
    }
}

/// Asks the session, not too often.
struct Looker<'a> {
    session: &'a Session,
    start: Instant,
    /// How long to wait before the next look.
    rest: Duration,
}

impl<'a> Looker<'a> {
    fn new(session: &'a Session) -> Self {
        Self {
            session,
            start: Instant::now(),
            rest: REFRESH,
        }
    }

    /// What is known now, with the last packets of a number.
    fn look(&mut self, number: Option<u8>) -> Look {
        let begin = Instant::now();
        let (findings, packets) = match number {
            None => (self.session.snapshot(), Vec::new()),
            Some(number) => self.session.snapshot_with_packets(number),
        };
        self.rest = REFRESH.max(begin.elapsed() * SHARE);
        Look {
            elapsed: begin.duration_since(self.start),
            findings,
            packets,
        }
    }
}

#[cfg(feature = "view")]
mod screen {
    use std::{
        env,
        io::{self, IsTerminal as _},
        sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
        thread,
        time::Duration,
    };

    use nix::{
        sys::signal::{Signal, kill},
        unistd::{Pid, getpgrp, tcgetpgrp},
    };
    use ratatui::crossterm::event::{self, Event};

    use super::Looker;
    use crate::{
        findings::{Findings, Packet},
        path::Session,
        view::{Action, Look, Screen, View},
    };

    /// How soon a signal, or the end of reading, is noticed.
    const ATTENTION: Duration = Duration::from_millis(50);

    /// The view on a terminal.
    pub(super) struct Terminal {
        screen: Screen,
        view: View,
    }

    impl Terminal {
        /// Takes the terminal on standard error, if there is one that belongs to this process: one
        /// in the background would be stopped.
        pub(super) fn open() -> Option<Self> {
            let stderr = io::stderr();
            let is_capable = env::var_os("TERM").is_some_and(|term| term != "dumb");
            if !stderr.is_terminal() || !is_capable || tcgetpgrp(&stderr) != Ok(getpgrp()) {
                return None;
            }
            let color = anstream::AutoStream::choice(&stderr) != anstream::ColorChoice::Never;
            Some(Self {
                screen: Screen::open().ok()?,
                view: View::new(color),
            })
        }

        /// Shows the findings so far and does what keys say, until the points are read.
        pub(super) fn show(mut self, session: &Session) -> io::Result<()> {
            thread::scope(|scope| {
                let (found, looks) = channel();
                let (ask, asked) = channel();
                scope.spawn(move || look_on(session, &found, &asked));
                self.attend(session, &looks, &ask)
            })
        }

        /// Shows what does not change any more, and does what keys say.
        pub(super) fn browse(mut self, findings: Findings, packets: &[Packet]) -> io::Result<()> {
            let mut look = Look {
                elapsed: Duration::ZERO,
                findings,
                packets: Vec::new(),
            };
            loop {
                let watched = self.view.watched();
                let of_watched = |packet: &&Packet| Some(packet.protocol) == watched;
                look.packets = packets.iter().filter(of_watched).cloned().collect();
                self.view.update(look.clone());
                self.screen.draw(&mut self.view)?;
                if self.view.watched() != watched {
                    continue;
                }
                if let Event::Key(key) = event::read()?
                    && self.view.key(key) != Action::Nothing
                {
                    return Ok(());
                }
            }
        }

        fn attend(
            &mut self,
            session: &Session,
            looks: &Receiver<Look>,
            ask: &Sender<Option<u8>>,
        ) -> io::Result<()> {
            let mut asked = None;
            let mut is_new = true;
            while !session.wait(Duration::ZERO) {
                for look in looks.try_iter() {
                    self.view.update(look);
                    is_new = true;
                }
                if session.is_ending() {
                    self.view.end();
                    is_new = true;
                }
                if std::mem::take(&mut is_new) {
                    self.screen.draw(&mut self.view)?;
                }
                if self.view.watched() != asked {
                    asked = self.view.watched();
                    // The thread that looks goes on until this one ends.
                    let _ = ask.send(asked);
                }
                if !event::poll(ATTENTION)? {
                    continue;
                }
                is_new = true;
                let Event::Key(key) = event::read()? else {
                    continue;
                };
                match self.view.key(key) {
                    Action::Nothing => {}
                    Action::End => session.end(),
                    // Raw mode keeps the terminal from doing it: to all that run in its foreground.
                    Action::Interrupt => kill(Pid::from_raw(0), Signal::SIGINT)?,
                }
            }
            Ok(())
        }
    }

    /// Looks again and again, and at once when another number is asked about.
    fn look_on(session: &Session, found: &Sender<Look>, asked: &Receiver<Option<u8>>) {
        let mut looker = Looker::new(session);
        let mut number = None;
        loop {
            match asked.recv_timeout(looker.rest) {
                Ok(other) => number = asked.try_iter().last().unwrap_or(other),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if found.send(looker.look(number)).is_err() {
                return;
            }
        }
    }
}
