//! `cortex env default`.

use crate::{environments::Environments, home::Home, output::Format, report::Failure};

pub fn default(name: Option<String>, format: Format) -> Result<(), Failure> {
    let home = Home::find()?;
    let mut all = Environments::load(&home)?;
    let chosen = all.get(name.as_deref())?.0.to_owned();
    if name.is_some() {
        all.default = Some(chosen.clone());
        all.save(&home)?;
    }
    format.print(&serde_json::json!({ "default": chosen }), |_| chosen.clone())
}
