//! The phases of a request, in their order.

pub(crate) mod admit;
pub(crate) mod authenticate;
pub(crate) mod choose;
pub(crate) mod cors;
pub(crate) mod deliver;
pub(crate) mod forward;
pub(crate) mod identify;
pub(crate) mod record;
pub(crate) mod route;
