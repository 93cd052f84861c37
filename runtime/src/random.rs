//! Identities where upstream gives none.

/// 32 lower-case hex digits at random (S23).
///
/// # Panics
/// When the operating system has no random numbers, which a running system always has.
pub fn random_id() -> String {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    hex::encode(bytes)
}
