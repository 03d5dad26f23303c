//! Every kind of resource on the emulator: found, made, found as wanted, changed field by field, removed.

#[path = "aws_kinds/balancing.rs"]
mod balancing;
#[path = "aws_kinds/bench.rs"]
mod bench;
#[path = "aws_kinds/compute.rs"]
mod compute;
#[path = "aws_kinds/foreign.rs"]
mod foreign;
#[path = "aws_kinds/iam.rs"]
mod iam;
#[path = "aws_kinds/network.rs"]
mod network;
#[path = "aws_kinds/pages.rs"]
mod pages;
#[path = "aws_kinds/storage.rs"]
mod storage;
