//! Documents that are kept by the day: `<prefix><day>/...`, which sorts like time, so that old days can be swept away.

use state::{Expect, State, StateError};
use time::Date;

/// What the keys of a day begin with.
pub(crate) fn of(prefix: &str, day: Date) -> String {
    format!("{prefix}{:04}{:02}{:02}/", day.year(), u8::from(day.month()), day.day())
}

pub(crate) async fn delete_before(state: &dyn State, prefix: &str, day: Date) -> Result<(), StateError> {
    let first_kept = of(prefix, day);
    for entry in state.list(prefix).await? {
        if entry.key >= first_kept {
            break;
        }
        state.delete(&entry.key, &Expect::Anything).await?;
    }
    Ok(())
}
