//! Events as log records (specification, logs data model).

mod log_crate;
mod routing;
mod span_fields;
mod spec;
