//! A table that another thread writes, for one that takes rows faster than they can be encoded.

use std::{
    fmt, mem,
    panic::resume_unwind,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use super::{
    columns::{Context, Field},
    file::{Error, Rows, Table},
};

/// A table whose groups are written while further rows are taken.
pub struct Background<R> {
    rows: Rows<R>,
    group: usize,
    is_broken: bool,
    full: SyncSender<Rows<R>>,
    empty: Receiver<Rows<R>>,
    writer: JoinHandle<Result<(), Error>>,
}

impl<R> fmt::Debug for Background<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background")
            .field("rows", &self.rows.count())
            .finish_non_exhaustive()
    }
}

impl<R: 'static> Background<R> {
    /// Goes on with a table in groups of so many rows. Twice as many are held at the most.
    pub(super) fn of(table: Table<R>, fields: Vec<Field<R>>, group: usize) -> Self {
        let Table { rows, mut writer } = table;
        let (full, groups) = sync_channel::<Rows<R>>(1);
        let (emptied, empty) = sync_channel(1);
        // There is always room: of two groups one is here.
        let give_back = move |rows| emptied.try_send(rows).is_ok();
        give_back(Rows::of(fields));
        let writer = thread::spawn(move || {
            for mut rows in groups {
                writer.write(&mut rows)?;
                give_back(rows);
            }
            writer.finish()
        });
        Self {
            rows,
            group,
            is_broken: false,
            full,
            empty,
            writer,
        }
    }

    /// Takes a row, or nothing more where the file cannot be written: [`Background::finish`] says why.
    pub(super) fn push(&mut self, context: &Context, row: &R) {
        if self.is_broken {
            return;
        }
        self.rows.push(context, row);
        if self.rows.count() >= self.group {
            self.is_broken = self.hand_over().is_none();
        }
    }

    /// `None` where the writer has ended with an error.
    fn hand_over(&mut self) -> Option<()> {
        let empty = self.empty.recv().ok()?;
        let full = mem::replace(&mut self.rows, empty);
        self.full.send(full).ok()
    }

    /// Ends the file, and sees that it is on the disk.
    ///
    /// # Errors
    /// Those of the file, whenever they came up.
    pub fn finish(mut self) -> Result<(), Error> {
        if !self.is_broken {
            self.hand_over();
        }
        drop(self.full);
        self.writer
            .join()
            .unwrap_or_else(|panic| resume_unwind(panic))
    }
}
