//! What the nodes log: lines of the trace; and an error is a fault.

use std::{
    io::{self, Write},
    sync::Arc,
};

use tracing::{Level, subscriber::DefaultGuard};
use tracing_subscriber::fmt::MakeWriter;

use super::world::World;

/// Takes in what is logged on this thread, until the guard is dropped.
pub(crate) fn into(world: &Arc<World>) -> DefaultGuard {
    let level = if world.is_traced() { Level::DEBUG } else { Level::ERROR };
    let logs = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_level(false)
        .without_time()
        .with_writer(Logs(Arc::clone(world)));
    tracing::subscriber::set_default(logs.finish())
}

struct Logs(Arc<World>);

struct Line<'a> {
    world: &'a World,
    is_error: bool,
}

impl<'a> MakeWriter<'a> for Logs {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { world: &self.0, is_error: true }
    }

    fn make_writer_for(&'a self, meta: &tracing::Metadata<'_>) -> Line<'a> {
        Line { world: &self.0, is_error: *meta.level() == Level::ERROR }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes).trim_end().to_owned();
        // A panic that the simulation threw.
        let is_thrown =
            line.contains("the work on a transaction panicked") && self.world.has_thrown();
        if self.is_error && !is_thrown {
            self.world.fault(format!("logged: {line}"));
        } else {
            self.world.trace(|| format!("    logged: {line}"));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
