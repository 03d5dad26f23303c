//! `cortex env delete`.

use crate::{environments::Environments, home::Home, output::Format, report::Failure};

pub fn delete(name: &str, format: Format) -> Result<(), Failure> {
    let home = Home::find()?;
    let mut all = Environments::load(&home)?;
    // Says what there is if that one is not.
    all.get(Some(name))?;
    all.remove(name);
    all.save(&home)?;
    format.print(&serde_json::json!({ "deleted": name }), |_| format!("environment {name} forgotten"))
}
