//! The reference's answers, a table of behaviours, and what must hold for any order of things.

mod extension;
mod machine;
mod properties;
mod sequences;
mod vectors;
