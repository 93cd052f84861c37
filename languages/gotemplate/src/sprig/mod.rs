//! Sprig's functions (3.3): everything that looks at its arguments only. What would look at the machine, or make secrets, is
//! refused by name.

mod bases;
mod case;
mod dates;
mod encoding;
mod lists;
mod logic;
mod maps;
mod numbers;
mod paths;
mod patterns;
mod random;
mod texts;
mod urls;
mod versions;

pub(crate) use patterns::Patterns;

use crate::function::{Found, Function};

/// A table of functions by name.
type Table = &'static [(&'static str, Function)];

const TABLES: [Table; 13] = [
    case::FUNCTIONS,
    dates::FUNCTIONS,
    encoding::FUNCTIONS,
    lists::FUNCTIONS,
    logic::FUNCTIONS,
    maps::FUNCTIONS,
    numbers::FUNCTIONS,
    paths::FUNCTIONS,
    patterns::FUNCTIONS,
    random::FUNCTIONS,
    texts::FUNCTIONS,
    urls::FUNCTIONS,
    versions::FUNCTIONS,
];

/// Functions that read the environment or the network.
const OUTSIDE: [&str; 3] = ["env", "expandenv", "getHostByName"];
/// Functions that make keys, certificates and passwords.
const SECRETS: [&str; 14] = [
    "bcrypt",
    "htpasswd",
    "derivePassword",
    "genPrivateKey",
    "genCA",
    "genCAWithKey",
    "genSelfSignedCert",
    "genSelfSignedCertWithKey",
    "genSignedCert",
    "genSignedCertWithKey",
    "buildCustomCert",
    "encryptAES",
    "decryptAES",
    "randBytes",
];

pub(crate) fn lookup(name: &str) -> Found {
    let known = TABLES.iter().flat_map(|table| table.iter()).find(|(known, _)| *known == name);
    if let Some((_, function)) = known {
        return Found::Function(*function);
    }
    if OUTSIDE.contains(&name) {
        return Found::Refused("it would look at the machine, and templates see events only");
    }
    if SECRETS.contains(&name) {
        return Found::Refused("templates make no keys, certificates or passwords");
    }
    Found::Unknown
}
