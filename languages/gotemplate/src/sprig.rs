//! Sprig's functions. What is not here yet is told by name; what would look outside is refused.

use crate::function::{Call, Found, Function, bounded, wrong};
use crate::print::print;
use crate::printf::quote;
use crate::value::{IntKind, Value};

const FUNCTIONS: [(&str, Function); 25] = [
    ("upper", |call| one(call, str::to_uppercase)),
    ("lower", |call| one(call, str::to_lowercase)),
    ("trim", |call| one(call, |text| text.trim().to_owned())),
    ("trimPrefix", |call| two(call, |prefix, text| text.strip_prefix(prefix).unwrap_or(text).to_owned())),
    ("trimSuffix", |call| two(call, |suffix, text| text.strip_suffix(suffix).unwrap_or(text).to_owned())),
    ("hasPrefix", |call| asks(call, |prefix, text| text.starts_with(prefix))),
    ("hasSuffix", |call| asks(call, |suffix, text| text.ends_with(suffix))),
    ("contains", |call| asks(call, |part, text| text.contains(part))),
    ("replace", replace),
    ("trunc", trunc),
    ("quote", |call| {
        let quoted = (0..call.arguments.len()).map(|at| call.any(at)).filter(|value| !value.is_nil());
        Ok(Value::text(quoted.map(|value| quote(&print(&value), false)).collect::<Vec<_>>().join(" ")))
    }),
    ("default", |call| {
        call.expect_least(1)?;
        let given = call.any(call.arguments.len() - 1);
        Ok(if call.arguments.len() > 1 && given.truth() { given } else { call.any(0) })
    }),
    ("empty", |call| call.expect(1).map(|()| Value::Bool(!call.any(0).truth()))),
    ("coalesce", |call| {
        let first = (0..call.arguments.len()).map(|at| call.any(at)).find(Value::truth);
        Ok(first.unwrap_or(Value::Nil))
    }),
    ("ternary", |call| {
        call.expect(3)?;
        Ok(call.any(usize::from(!call.bool(2)?)))
    }),
    ("toString", |call| {
        call.expect(1)?;
        Ok(Value::text(print(&call.any(0))))
    }),
    ("int", |call| integer(call, IntKind::Int)),
    ("int64", |call| integer(call, IntKind::Int64)),
    ("list", |call| Ok(Value::list((0..call.arguments.len()).map(|at| call.any(at)).collect()))),
    ("hasKey", |call| {
        call.expect(2)?;
        let members = call.any(0).members().ok_or_else(|| wrong("a map", &call.any(0)))?;
        Ok(Value::Bool(members.contains_key(&call.text(1)?)))
    }),
    ("splitList", |call| {
        call.expect(2)?;
        let (separator, text) = (call.text(0)?, call.text(1)?);
        let parts: Vec<String> = if separator.is_empty() {
            text.chars().map(String::from).collect()
        } else {
            text.split(separator.as_str()).map(str::to_owned).collect()
        };
        Ok(Value::list(parts.into_iter().map(Value::text).collect()))
    }),
    ("join", |call| {
        call.expect(2)?;
        let list = call.any(1);
        let parts: Vec<String> = match list.elements() {
            Some(elements) => elements
                .iter()
                .map(|element| element.clone().shallow())
                .filter(|element| !element.is_nil())
                .map(|element| print(&element))
                .collect(),
            None => vec![print(&list)],
        };
        Ok(Value::text(parts.join(&call.text(0)?)))
    }),
    ("now", |call| {
        let now = call.now.to_zoned(jiff::tz::TimeZone::UTC);
        call.expect(0).map(|()| Value::Object(crate::Object::Time(Box::new(now))))
    }),
    ("toJson", |call| {
        call.expect(1)?;
        Ok(Value::text(zetes_gojson::to_string(&call.any(0).to_json())))
    }),
    ("kindOf", |call| {
        call.expect(1)?;
        Ok(Value::text(match call.any(0) {
            Value::Object(object) => object.kind(),
            Value::List(_) => "slice",
            Value::Map(_) => "map",
            Value::Nil | Value::Missing => "invalid",
            other => other.type_name(),
        }))
    }),
];

/// Functions of sprig that this build does not have yet.
const ABSENT: &str = "trimAll title untitle swapcase repeat substr nospace abbrev abbrevboth initials wrap wrapWith squote cat \
indent nindent plural snakecase camelcase kebabcase shuffle regexMatch regexFind regexFindAll regexReplaceAll \
regexReplaceAllLiteral regexSplit regexQuoteMeta mustRegexMatch mustRegexFind mustRegexFindAll mustRegexReplaceAll \
mustRegexReplaceAllLiteral mustRegexSplit split splitn sortAlpha toStrings tuple first rest last initial append push prepend \
concat reverse uniq without has compact slice chunk until untilStep seq mustFirst mustRest mustLast mustInitial mustAppend \
mustPush mustPrepend mustReverse mustUniq mustWithout mustHas mustCompact mustSlice mustChunk dict get set unset pluck dig keys \
values pick omit merge mergeOverwrite deepCopy mustMerge mustMergeOverwrite mustDeepCopy atoi float64 toDecimal add add1 sub mul \
div mod max biggest min addf add1f subf mulf divf maxf minf ceil floor round randInt all any fail b64enc b64dec b32enc b32dec \
toPrettyJson toRawJson fromJson mustToJson mustToPrettyJson mustToRawJson mustFromJson urlParse urlJoin sha1sum sha256sum \
sha512sum adler32sum uuidv4 randAlpha randAlphaNum randNumeric randAscii ago date dateInZone date_in_zone dateModify date_modify \
must_date_modify mustDateModify duration durationRound htmlDate htmlDateInZone toDate mustToDate unixEpoch base dir ext clean \
isAbs osBase osDir osExt osClean osIsAbs typeOf typeIs typeIsLike kindIs deepEqual semver semverCompare hello";

/// Functions that read the environment or the network.
const OUTSIDE: [&str; 3] = ["env", "expandenv", "getHostByName"];
/// Functions that make keys, certificates and passwords.
const SECRETS: [&str; 15] = [
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
    "randPassword",
];

pub(crate) fn lookup(name: &str) -> Found {
    if let Some((_, function)) = FUNCTIONS.iter().find(|(known, _)| *known == name) {
        return Found::Function(*function);
    }
    if OUTSIDE.contains(&name) {
        return Found::Refused("it would look at the machine, and templates see events only");
    }
    if SECRETS.contains(&name) {
        return Found::Refused("templates make no keys, certificates or passwords");
    }
    if ABSENT.split_whitespace().any(|absent| absent == name) { Found::Absent } else { Found::Unknown }
}

fn one<'d>(call: &Call<'d>, change: fn(&str) -> String) -> Result<Value<'d>, String> {
    call.expect(1)?;
    Ok(Value::text(change(&call.text(0)?)))
}

fn two<'d>(call: &Call<'d>, change: fn(&str, &str) -> String) -> Result<Value<'d>, String> {
    call.expect(2)?;
    Ok(Value::text(change(&call.text(0)?, &call.text(1)?)))
}

fn asks<'d>(call: &Call<'d>, ask: fn(&str, &str) -> bool) -> Result<Value<'d>, String> {
    call.expect(2)?;
    Ok(Value::Bool(ask(&call.text(0)?, &call.text(1)?)))
}

fn replace<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect(3)?;
    let (old, new, text) = (call.text(0)?, call.text(1)?, call.text(2)?);
    bounded(text.len().saturating_add(1).saturating_mul(new.len().saturating_add(1)))?;
    Ok(Value::text(text.replace(&old, &new)))
}

/// Cuts by bytes, as Go's slices do; a negative length keeps the end.
fn trunc<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect(2)?;
    let (length, text) = (call.int(0)?, call.text(1)?);
    let bytes = text.as_bytes();
    let size = usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX);
    let kept = if size >= bytes.len() {
        bytes
    } else if length < 0 {
        bytes.get(bytes.len() - size..).unwrap_or_default()
    } else {
        bytes.get(..size).unwrap_or_default()
    };
    Ok(Value::text(String::from_utf8_lossy(kept)))
}

/// A number cut to an integer, a text read as one; anything else is 0.
#[expect(clippy::cast_possible_truncation, reason = "cut to an integer is what is asked for")]
fn integer<'d>(call: &Call<'d>, kind: IntKind) -> Result<Value<'d>, String> {
    call.expect(1)?;
    let number = match call.any(0) {
        Value::Int(number, _) => number,
        Value::Float(number) => number as i64,
        Value::Bool(value) => i64::from(value),
        Value::String(text) => crate::literal::integer(&text).unwrap_or(0),
        _ => 0,
    };
    Ok(Value::Int(number, kind))
}
