//! Clusters on AWS, as emulated: the product's own command line, node binary, operator, gateway and replicas, over real
//! HTTP and TLS; the AWS API by somebody else's code that enforces what AWS enforces (`docs/emulator.md`).

mod access;
mod certificate;
mod control_role;
mod four_commands;
mod ground;
mod identity;
mod interrupted;
mod management;
mod nothing_left;
mod nothing_to_do;
mod permissions;
mod preflight;
mod progress;
mod secrets;
mod settings;
mod shapes;
mod survival;
mod sweep;
mod telemetry;
mod topology;
