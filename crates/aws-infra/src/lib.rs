//! Makes and removes what a cluster consists of, in an AWS account.
