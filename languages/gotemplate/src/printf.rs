//! Go's `fmt.Sprintf`, for the values that templates have.

use zetes_gotext::{print_float, special, with_exponent};

use crate::print::print;
use crate::value::{IntKind, Value};

/// Widths and precisions are at most so large; Go refuses larger ones, too.
const MAX_SIZE: usize = 1_000_000;

/// One directive: `%-08.3f`.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one of Go's flags")]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

pub(crate) fn sprintf(format: &str, arguments: &[Value<'_>]) -> String {
    let mut writer = Writer { arguments, next: 0, reordered: false, out: String::new() };
    let mut characters = format.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '%' {
            writer.out.push(character);
            continue;
        }
        writer.directive(&mut characters);
        if writer.out.len() > crate::function::MAX_BYTES {
            break;
        }
    }
    writer.extra();
    writer.out
}

struct Writer<'a, 'd> {
    arguments: &'a [Value<'d>],
    next: usize,
    reordered: bool,
    out: String,
}

type Characters<'f> = std::iter::Peekable<std::str::Chars<'f>>;

impl Writer<'_, '_> {
    fn directive(&mut self, characters: &mut Characters<'_>) {
        let mut spec = Spec::default();
        while let Some(flag) = characters.peek() {
            match flag {
                '-' => spec.minus = true,
                '+' => spec.plus = true,
                '#' => spec.sharp = true,
                ' ' => spec.space = true,
                '0' => spec.zero = true,
                _ => break,
            }
            characters.next();
        }
        let mut bad_index = !self.index(characters);
        if characters.next_if_eq(&'*').is_some() {
            match self.star() {
                Some(width) => {
                    spec.minus |= width < 0;
                    spec.width = Some(usize::try_from(width.unsigned_abs()).unwrap_or(0));
                }
                None => self.out.push_str("%!(BADWIDTH)"),
            }
        } else {
            spec.width = number(characters);
        }
        if characters.next_if_eq(&'.').is_some() {
            bad_index |= !self.index(characters);
            if characters.next_if_eq(&'*').is_some() {
                spec.precision = self.star().and_then(|precision| usize::try_from(precision).ok());
                if spec.precision.is_none() {
                    self.out.push_str("%!(BADPREC)");
                }
            } else {
                spec.precision = Some(number(characters).unwrap_or(0));
            }
        }
        bad_index |= !self.index(characters);
        let Some(verb) = characters.next() else {
            self.out.push_str("%!(NOVERB)");
            return;
        };
        // `%+v` asks for field names, not for signs.
        spec.plus &= verb != 'v';
        match verb {
            '%' => self.out.push('%'),
            _ if bad_index => self.out.push_str(&format!("%!{verb}(BADINDEX)")),
            _ => match self.arguments.get(self.next) {
                None => self.out.push_str(&format!("%!{verb}(MISSING)")),
                Some(value) => {
                    self.next += 1;
                    let text = formatted(&spec, verb, &value.clone().shallow(), 0);
                    self.out.push_str(&text);
                }
            },
        }
    }

    /// `[3]`: the argument that comes next; `false` where it is none.
    fn index(&mut self, characters: &mut Characters<'_>) -> bool {
        if characters.next_if_eq(&'[').is_none() {
            return true;
        }
        self.reordered = true;
        let wanted = number(characters);
        let closed = characters.next_if_eq(&']').is_some();
        match wanted.filter(|wanted| closed && (1..=self.arguments.len()).contains(wanted)) {
            Some(wanted) => {
                self.next = wanted - 1;
                true
            }
            None => false,
        }
    }

    fn star(&mut self) -> Option<i64> {
        let value = self.arguments.get(self.next)?.clone().shallow();
        self.next += 1;
        match value {
            Value::Int(number, _) if number.unsigned_abs() <= MAX_SIZE as u64 => Some(number),
            _ => None,
        }
    }

    fn extra(&mut self) {
        if self.reordered || self.next >= self.arguments.len() {
            return;
        }
        let extra: Vec<String> = self
            .arguments
            .iter()
            .skip(self.next)
            .map(|value| match value.clone().shallow() {
                Value::Nil | Value::Missing => "<nil>".to_owned(),
                value => format!("{}={}", value.type_name(), print(&value)),
            })
            .collect();
        self.out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
}

fn number(characters: &mut Characters<'_>) -> Option<usize> {
    let mut found = None;
    while let Some(digit) = characters.peek().and_then(|character| character.to_digit(10)) {
        characters.next();
        found = Some((found.unwrap_or(0) * 10 + digit as usize).min(MAX_SIZE));
    }
    found
}

fn formatted(spec: &Spec, verb: char, value: &Value<'_>, depth: usize) -> String {
    if depth > 64 {
        return "…".to_owned();
    }
    if verb == 'T' {
        return padded(spec, value.type_name().to_owned());
    }
    match value {
        Value::Nil | Value::Missing => match verb {
            'v' => padded(spec, "<nil>".to_owned()),
            _ => format!("%!{verb}(<nil>)"),
        },
        Value::Bool(value) => match verb {
            't' | 'v' => padded(spec, value.to_string()),
            _ => format!("%!{verb}(bool={value})"),
        },
        Value::Int(number, kind) => integer(spec, verb, *number, *kind),
        Value::Float(number) => float(spec, verb, *number),
        Value::String(text) => string(spec, verb, text),
        Value::List(elements) => {
            let parts =
                elements.iter().map(|element| formatted(spec, verb, &element.clone().shallow(), depth + 1));
            let parts: Vec<_> = parts.collect();
            format!("[{}]", parts.join(" "))
        }
        Value::Map(members) => {
            let parts: Vec<_> = members
                .borrow()
                .iter()
                .map(|(name, member)| {
                    let name = string(spec, verb, name);
                    format!("{name}:{}", formatted(spec, verb, &member.clone().shallow(), depth + 1))
                })
                .collect();
            format!("map[{}]", parts.join(" "))
        }
        Value::Object(object) => match (verb, object.as_integer()) {
            ('v' | 's', _) => padded(spec, object.print()),
            (_, Some(number)) => integer(spec, verb, number, IntKind::Int64),
            _ => format!("%!{verb}({}={})", object.type_name(), object.print()),
        },
        Value::Json(_) => formatted(spec, verb, &value.clone().shallow(), depth + 1),
    }
}

/// Fills up to the width: behind where `-` says so, in front otherwise.
fn padded(spec: &Spec, text: String) -> String {
    let length = text.chars().count();
    let missing = spec.width.unwrap_or(0).saturating_sub(length);
    if missing == 0 {
        return text;
    }
    let filler = if spec.zero && !spec.minus { "0" } else { " " };
    if spec.minus { text + &" ".repeat(missing) } else { filler.repeat(missing) + &text }
}

fn integer(spec: &Spec, verb: char, number: i64, kind: IntKind) -> String {
    let digits = number.unsigned_abs();
    let (text, prefix) = match verb {
        'v' | 'd' => (digits.to_string(), ""),
        'b' => (format!("{digits:b}"), "0b"),
        'o' => (format!("{digits:o}"), "0"),
        'O' => (format!("{digits:o}"), "0o"),
        'x' => (format!("{digits:x}"), "0x"),
        'X' => (format!("{digits:X}"), "0X"),
        'c' => return padded(spec, character(number).to_string()),
        'q' => return padded(spec, quoted_character(character(number))),
        'U' => return padded(spec, format!("U+{digits:04X}")),
        _ => return format!("%!{verb}({}={number})", Value::Int(number, kind).type_name()),
    };
    let mut text = text;
    if let Some(precision) = spec.precision {
        if precision == 0 && number == 0 {
            return padded(&Spec { zero: false, ..*spec }, String::new());
        }
        text = format!("{text:0>precision$}");
    }
    let prefix = if spec.sharp || verb == 'O' { prefix } else { "" };
    let sign = sign(spec, number < 0);
    if spec.zero && !spec.minus && spec.precision.is_none() {
        let width = spec.width.unwrap_or(0).saturating_sub(sign.len() + prefix.len());
        return format!("{sign}{prefix}{text:0>width$}");
    }
    padded(&Spec { zero: false, ..*spec }, format!("{sign}{prefix}{text}"))
}

fn sign(spec: &Spec, is_negative: bool) -> &'static str {
    if is_negative {
        "-"
    } else if spec.plus {
        "+"
    } else if spec.space {
        " "
    } else {
        ""
    }
}

fn character(number: i64) -> char {
    u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn float(spec: &Spec, verb: char, number: f64) -> String {
    let size = number.abs();
    let text = match (verb, special(size)) {
        ('v' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G', Some(text)) => {
            let text = text.trim_start_matches('+').to_owned();
            return padded(&Spec { zero: false, ..*spec }, format!("{}{text}", sign(spec, number < 0.0)));
        }
        ('f' | 'F', None) => format!("{size:.precision$}", precision = spec.precision.unwrap_or(6)),
        ('e' | 'E', None) => exponential(size, spec.precision.unwrap_or(6)),
        ('v' | 'g' | 'G', None) => match spec.precision {
            None => print_float(size),
            Some(precision) => general(size, precision, spec.sharp),
        },
        _ => return format!("%!{verb}(float64={})", print_float(number)),
    };
    let text = if verb.is_ascii_uppercase() { text.to_uppercase() } else { text };
    let sign = sign(spec, number.is_sign_negative());
    if spec.zero && !spec.minus {
        let width = spec.width.unwrap_or(0).saturating_sub(sign.len());
        return format!("{sign}{text:0>width$}");
    }
    padded(spec, format!("{sign}{text}"))
}

fn exponential(size: f64, precision: usize) -> String {
    let text = format!("{size:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    with_exponent(digits, exponent.parse().unwrap_or_default())
}

/// `%g` with a precision: so many significant digits, without trailing zeros.
fn general(size: f64, precision: usize, sharp: bool) -> String {
    let precision = precision.max(1);
    let text = format!("{size:.digits$e}", digits = precision - 1);
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let limit = i32::try_from(precision).unwrap_or(i32::MAX);
    let significant = digits.trim_end_matches('0').bytes().filter(u8::is_ascii_digit).count();
    let whole = usize::try_from(exponent + 1).unwrap_or(0);
    let limit = if limit > i32::try_from(significant).unwrap_or(0) && significant >= whole {
        i32::try_from(significant).unwrap_or(0).max(1)
    } else {
        limit
    };
    let cut = |text: &str| {
        if text.contains('.') && !sharp {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if size != 0.0 && (exponent < -4 || exponent >= limit) {
        return with_exponent(&cut(digits), exponent);
    }
    let decimals = usize::try_from(i32::try_from(precision).unwrap_or(i32::MAX) - 1 - exponent).unwrap_or(0);
    cut(&format!("{size:.decimals$}"))
}

fn string(spec: &Spec, verb: char, text: &str) -> String {
    let cut = |text: &str| match spec.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text.to_owned(),
    };
    match verb {
        'v' | 's' => padded(spec, cut(text)),
        'q' => padded(spec, quoted(&cut(text), spec)),
        'x' | 'X' => {
            let bytes = text.as_bytes();
            let bytes = bytes.get(..spec.precision.unwrap_or(bytes.len()).min(bytes.len())).unwrap_or(bytes);
            let digits = bytes
                .iter()
                .map(|byte| if verb == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") });
            let separator = if spec.space { " " } else { "" };
            let prefix = match (spec.sharp, verb) {
                (true, 'x') => "0x",
                (true, _) => "0X",
                _ => "",
            };
            padded(spec, format!("{prefix}{}", digits.collect::<Vec<_>>().join(separator)))
        }
        _ => format!("%!{verb}(string={text})"),
    }
}

/// As Go quotes a string.
fn quoted(text: &str, spec: &Spec) -> String {
    if spec.sharp && !text.contains('`') && !text.chars().any(|c| c.is_control() && c != '\t') {
        return format!("`{text}`");
    }
    quote(text, spec.plus)
}

pub(crate) fn quote(text: &str, ascii: bool) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            other => escape_into(&mut out, other, ascii),
        }
    }
    out.push('"');
    out
}

fn quoted_character(character: char) -> String {
    let mut out = String::from("'");
    match character {
        '\'' => out.push_str("\\'"),
        other => escape_into(&mut out, other, false),
    }
    out.push('\'');
    out
}

fn escape_into(out: &mut String, character: char, ascii: bool) {
    match character {
        '\\' => out.push_str("\\\\"),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        c if u32::from(c) < 0x20 || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
        c if (ascii && !c.is_ascii()) || !is_printable(c) => {
            let code = u32::from(c);
            out.push_str(&if code < 0x1_0000 { format!("\\u{code:04x}") } else { format!("\\U{code:08x}") });
        }
        c => out.push(c),
    }
}

/// What Go prints as it is: no control, no format character, no space but the plain one.
fn is_printable(character: char) -> bool {
    !character.is_control()
        && (character == ' ' || !character.is_whitespace())
        && !matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{fffb}')
}
