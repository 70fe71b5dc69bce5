//! What observers may see of the supervisor. Pure.
