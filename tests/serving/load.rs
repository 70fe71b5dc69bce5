//! The load generator: see below.
