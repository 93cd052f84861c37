//! The reference's answers on parameters, and the runner on a bus in memory.
