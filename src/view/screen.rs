//! The terminal, borrowed.
//!
//! While a [`Screen`] is there the terminal shows the alternate screen in raw mode. It gets back
//! what it had when the screen is dropped, and before a panic of any thread prints its message.

use std::{
    cell::Cell,
    io::{self, BufWriter, Stderr},
    panic,
    sync::{
        Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor, execute,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
};

use super::{View, draw::draw};

/// Whether the terminal is borrowed.
static BORROWED: AtomicBool = AtomicBool::new(false);

/// Held by who writes to the terminal, so that nothing is drawn on one that was given back.
static TURN: Mutex<()> = Mutex::new(());

thread_local! {
    /// Whether this thread is the one that draws, and holds [`TURN`].
    static DRAWS: Cell<bool> = const { Cell::new(false) };
}

/// The terminal on standard error: standard output is for results.
pub struct Screen(Terminal<CrosstermBackend<BufWriter<Stderr>>>);

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// There is no terminal to read keys from, or it cannot be written to.
    pub fn open() -> io::Result<Self> {
        restore_on_panic();
        enable_raw_mode()?;
        BORROWED.store(true, Ordering::SeqCst);
        let opened = Terminal::new(CrosstermBackend::new(BufWriter::new(io::stderr()))).and_then(
            |terminal| {
                execute!(io::stderr(), EnterAlternateScreen, cursor::Hide)?;
                Ok(Self(terminal))
            },
        );
        opened.inspect_err(|_| restore())
    }

    /// Draws the view, unless the terminal was given back.
    ///
    /// # Errors
    /// Those of writing to the terminal.
    pub fn draw(&mut self, view: &mut View) -> io::Result<()> {
        let _turn = turn();
        if BORROWED.load(Ordering::SeqCst) {
            DRAWS.set(true);
            let drawn = self
                .0
                .draw(|frame| draw(view, frame.area(), frame.buffer_mut()))
                .map(drop);
            DRAWS.set(false);
            return drawn;
        }
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back, once.
fn restore() {
    // Where drawing itself failed, the turn is this thread's already.
    let _turn = (!DRAWS.get()).then(turn);
    if BORROWED.swap(false, Ordering::SeqCst) {
        // Nothing can be done about a terminal that is gone.
        let _ = execute!(io::stderr(), LeaveAlternateScreen, cursor::Show);
        let _ = disable_raw_mode();
    }
}

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has a panic of any thread restore the terminal before its message is printed.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            restore();
            print(panic);
        }));
    });
}
