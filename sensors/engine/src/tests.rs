//! The reference's answers, a table of behaviours, and what must hold for any order of things.

mod machine;
mod properties;
mod vectors;
