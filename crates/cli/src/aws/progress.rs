//! What is shown while a plan is carried out: on a terminal a tree that is drawn over itself, else a line for each thing that
//! is done, for programs a stream of JSON; and the run as a trace, if that is asked for.
//!
//! As long as a [`Progress`] lives, what the program says goes through it. It ends with its last lines and a visible cursor
//! however the program ends: when it is dropped, on a panic, and by [`crate::output::leave`].

mod area;
mod frame;
mod lines;
mod picture;
mod stream;
mod terminal;
#[cfg(test)]
mod tests;
mod trace;

use std::{
    env,
    io::{self, IsTerminal as _},
    panic,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use provision::{
    execute::{Event, Events},
    resource::{Key, Kind},
};

use self::{
    frame::Size,
    lines::Lines,
    picture::{Doing, Picture},
    stream::Stream,
    terminal::Terminal,
    trace::Trace,
};
use crate::{
    output::{Format, Talk, leave, say, talk_through},
    report::Failure,
};

/// Between two frames, and between two looks at whether it is time for a sign of life.
const TICK: Duration = Duration::from_millis(200);
/// Of a terminal that does not say.
const USUAL: Size = Size { columns: 80, rows: 24 };

/// A way to show it. Whatever cannot be written is not: progress is no reason to fail.
trait View: Send {
    /// `picture` has the event in it already.
    fn event(&mut self, at: Duration, event: &Event, picture: &Picture);
    fn tick(&mut self, at: Duration, picture: &Picture);
    fn say(&mut self, at: Duration, text: &str, picture: &Picture);
    /// Nothing runs any more, or nobody will look any more.
    fn settle(&mut self, at: Duration, picture: &Picture);
}

/// Of one command.
pub struct Progress {
    shared: Arc<Shared>,
    /// Dropped, it ends the thread that ticks.
    _ticking: Sender<()>,
}

struct Shared {
    begun: Instant,
    inner: Mutex<Inner>,
}

struct Inner {
    picture: Picture,
    view: Box<dyn View>,
    trace: Option<Trace>,
}

impl Progress {
    /// `name`: what the command does, for the trace.
    pub fn begin(format: Format, trace: Option<&Path>, name: &str) -> Result<Self, Failure> {
        let trace = trace.map(|path| Trace::create(path, name)).transpose()?;
        let inner = Mutex::new(Inner { picture: Picture::default(), view: view(format), trace });
        let shared = Arc::new(Shared { begun: Instant::now(), inner });
        let (_ticking, ended) = channel();
        let ticker = Arc::downgrade(&shared);
        thread::spawn(move || {
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                let Some(shared) = Weak::upgrade(&ticker) else { return };
                shared.with(|inner, at| inner.view.tick(at, &inner.picture));
            }
        });
        talk_through(Some(Arc::clone(&shared) as _));
        leave_on_panic();
        Ok(Self { shared, _ticking })
    }

    /// What there is to do, as far as it is known.
    pub fn expect(&self, kinds: impl Iterator<Item = Kind>) {
        self.shared.with(|inner, _| inner.picture.expect(kinds));
    }

    /// Something that makes itself is not there yet, and why.
    pub fn missing(&self, key: &Key, expected: Duration, why: &str) {
        self.shared.with(|inner, at| {
            inner.picture.missing(at, key, expected, why);
            if let Some(trace) = &mut inner.trace {
                trace.begin(at, key, Doing::Waiting);
            }
        });
    }

    /// It is there now.
    pub fn found(&self, key: &Key) {
        self.shared.with(|inner, at| {
            inner.picture.end(key, Doing::Waiting);
            if let Some(trace) = &mut inner.trace {
                trace.end(at, key, Doing::Waiting);
            }
        });
    }

    /// Leaves the last lines of what has been done so far; what comes next begins below them.
    pub fn settle(&self) {
        self.shared.with(Inner::settle);
    }
}

impl Events for Progress {
    fn event(&self, event: Event) {
        self.shared.with(|inner, at| {
            inner.picture.event(at, &event);
            if let Some(trace) = &mut inner.trace {
                trace.event(at, &event);
            }
            inner.view.event(at, &event, &inner.picture);
        });
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.shared.leave();
        talk_through(None);
    }
}

impl Shared {
    fn with(&self, act: impl FnOnce(&mut Inner, Duration)) {
        let mut inner = self.lock();
        // Within the lock, so that times never go back.
        let at = self.begun.elapsed();
        act(&mut inner, at);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn settle(&mut self, at: Duration) {
        self.picture.settle();
        self.view.settle(at, &self.picture);
        self.picture = Picture::default();
    }
}

impl Talk for Shared {
    fn say(&self, text: &str) {
        self.with(|inner, at| inner.view.say(at, text, &inner.picture));
    }

    fn leave(&self) {
        let at = self.begun.elapsed();
        // Whoever panics may hold it.
        let mut inner = match self.inner.try_lock() {
            Ok(inner) => inner,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) if thread::panicking() => return,
            Err(std::sync::TryLockError::WouldBlock) => self.lock(),
        };
        inner.settle(at);
        let written = inner.trace.take().map(|trace| trace.write(at));
        drop(inner);
        if let Some(Err(failure)) = written {
            say!("the trace is missing: {}", failure.message);
        }
    }
}

fn view(format: Format) -> Box<dyn View> {
    let out = || Box::new(io::stderr());
    let dumb = env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    match format {
        Format::Json => Box::new(Stream::new(out())),
        Format::Pretty if io::stderr().is_terminal() && !dumb => {
            let coloured = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            Box::new(Terminal::new(out(), Box::new(size), coloured))
        }
        Format::Pretty => Box::new(Lines::new(out())),
    }
}

fn size() -> Size {
    let Ok(size) = rustix::termios::tcgetwinsize(io::stderr()) else { return USUAL };
    match (usize::from(size.ws_col), usize::from(size.ws_row)) {
        (0, _) | (_, 0) => USUAL,
        (columns, rows) => Size { columns, rows },
    }
}

/// Before the message, or it would stand in the middle of the tree.
fn leave_on_panic() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            leave();
            usual(info);
        }));
    });
}
