//! A picture as lines of text, none wider than the terminal, and no more of them than it has.

use std::{fmt::Write as _, time::Duration};

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::picture::{Picture, Row, Tally, Trouble};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub columns: usize,
    pub rows: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    Plain,
    Bold,
    Green,
    Yellow,
    Red,
}

struct Line {
    text: String,
    colour: Colour,
}

/// Keys of resources get so much room, if they need it.
const KEY_WIDTH: usize = 38;

/// While it runs: a headline, a line for each area, and below it one for each resource that is at work or has failed.
pub fn running(picture: &Picture, at: Duration, size: Size, coloured: bool) -> Vec<String> {
    let mut lines = vec![headline(picture, at)];
    // The cursor's own line is below; whatever happens, areas and failures are seen.
    let room = size.rows.saturating_sub(lines.len() + picture.areas.len() + 2);
    let failed = picture.rows.iter().filter(|row| row.failed()).count();
    let mut running = room.saturating_sub(failed);
    let mut hidden = 0;
    for (area, tally) in &picture.areas {
        lines.push(summary(area.name(), *tally));
        for row in picture.rows.iter().filter(|row| row.area == *area) {
            if !row.failed() {
                if running == 0 {
                    hidden += 1;
                    continue;
                }
                running -= 1;
            }
            lines.push(detail(row, at));
        }
    }
    if hidden > 0 {
        lines.push(Line { text: format!("    … and {hidden} more"), colour: Colour::Plain });
    }
    lines.truncate(size.rows.saturating_sub(1).max(1));
    lines.into_iter().map(|line| line.fitted(size.columns, coloured)).collect()
}

/// What stays on the screen: counts, and what has failed.
pub fn last(picture: &Picture, at: Duration, size: Size, coloured: bool) -> Vec<String> {
    let mut lines = vec![headline(picture, at)];
    for (area, tally) in picture.areas.iter().filter(|(_, tally)| **tally != Tally::default()) {
        lines.push(summary(area.name(), *tally));
        lines.extend(picture.rows.iter().filter(|row| row.area == *area && row.failed()).map(|row| detail(row, at)));
    }
    lines.into_iter().map(|line| line.fitted(size.columns, coloured)).collect()
}

fn headline(picture: &Picture, at: Duration) -> Line {
    let (done, total) = (picture.done(), picture.total());
    let of = if total > 0 { format!(" of {}", total.max(done)) } else { String::new() };
    let mut text = format!("{:>8}  {done}{of} done", span(at));
    let running = picture.running().count();
    if running > 0 {
        let _ = write!(text, ", {running} at work");
    }
    Line { text, colour: Colour::Bold }
}

fn summary(name: &str, tally: Tally) -> Line {
    let Tally { done, total, failed, skipped } = tally;
    let count = if total > 0 { format!("{done}/{}", total.max(done)) } else { done.to_string() };
    let mut text = format!("  {name:<16} {count}");
    if failed > 0 {
        let _ = write!(text, ", {failed} failed");
    }
    if skipped > 0 {
        let _ = write!(text, ", {skipped} not done");
    }
    let colour = match () {
        () if failed > 0 => Colour::Red,
        () if total > 0 && done >= total => Colour::Green,
        () => Colour::Plain,
    };
    Line { text, colour }
}

fn detail(row: &Row, at: Duration) -> Line {
    let elapsed = at.saturating_sub(row.since);
    let mut text = format!("    {:<KEY_WIDTH$} {:<9} ", row.key.as_str(), row.doing.name());
    let colour = match &row.trouble {
        Trouble::Failed(error) => {
            let _ = write!(text, "failed: {error}");
            Colour::Red
        }
        trouble => {
            text += &span(elapsed);
            if row.expected >= Duration::from_secs(1) {
                let _ = write!(text, " of about {}", span(row.expected));
            }
            match trouble {
                Trouble::Retrying { error, until } => {
                    let _ = write!(text, "; again in {}: {error}", span(until.saturating_sub(at)));
                    Colour::Yellow
                }
                Trouble::Missing(why) => {
                    let _ = write!(text, ": {why}");
                    Colour::Plain
                }
                Trouble::None | Trouble::Failed(_) => Colour::Plain,
            }
        }
    };
    Line { text, colour }
}

/// `12 s`, `3:05`.
fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{}:{:02} min", seconds / 60, seconds % 60),
    }
}

impl Line {
    fn fitted(self, columns: usize, coloured: bool) -> String {
        let text = fit(&self.text, columns);
        let code = match self.colour {
            _ if !coloured => return text,
            Colour::Plain => return text,
            Colour::Bold => 1,
            Colour::Green => 32,
            Colour::Yellow => 33,
            Colour::Red => 31,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// In one line of so many columns. What AWS says may hold anything.
fn fit(text: &str, columns: usize) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if clean.width() <= columns {
        return clean.trim_end().to_owned();
    }
    let mut fitted = String::new();
    let mut width = 0;
    for c in clean.chars() {
        width += c.width().unwrap_or(0);
        if width >= columns {
            break;
        }
        fitted.push(c);
    }
    fitted.push('…');
    fitted
}
