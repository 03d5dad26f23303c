//! `cortex cluster cert`.

use super::{Which, which};
use crate::{
    args,
    home::{Home, io_failure},
    local::Layout,
    report::Failure,
};

pub async fn cert(arguments: args::ClusterNamed) -> Result<(), Failure> {
    let pem = match which(&Home::find()?, &arguments.which)? {
        Which::Local(cluster) => {
            let path = Layout::new(&cluster.directory).ca_file();
            std::fs::read_to_string(&path).map_err(|error| io_failure("read", &path, &error))?
        }
        Which::Aws(there) => there.cert().await?,
    };
    arguments.printed.output.print(&serde_json::json!({ "ca_certificate": pem }), |_| pem.clone())
}
