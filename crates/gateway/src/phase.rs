//! The phases of a request, in their order.

pub(crate) mod identify;
pub(crate) mod authenticate;
pub(crate) mod route;
pub(crate) mod choose;
pub(crate) mod forward;
pub(crate) mod record;
