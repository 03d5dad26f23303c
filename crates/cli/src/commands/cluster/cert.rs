//! `cortex cluster cert`.

use super::find;
use crate::{
    args,
    home::{Home, io_failure},
    local::Layout,
    report::Failure,
};

pub fn cert(arguments: args::ClusterNamed) -> Result<(), Failure> {
    let cluster = find(&Home::find()?, &arguments.which)?;
    let path = Layout::new(&cluster.directory).ca_file();
    let pem = std::fs::read_to_string(&path).map_err(|error| io_failure("read", &path, &error))?;
    arguments.printed.output.print(&serde_json::json!({ "ca_certificate": pem }), |_| pem.clone())
}
