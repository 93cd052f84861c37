//! One event as bytes: what a reader needs of it without parsing JSON.
//!
//! `id | source | subject | type | flags u8 | time (seconds i64, nanoseconds i32) | datacontenttype | extensions (JSON) | data`;
//! what a flag does not announce isn't there.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use zetes_api::{Document, Event};

use crate::wire::{Input, put_bytes};

const TIME: u8 = 1;
const CONTENT_TYPE: u8 = 2;
const EXTENSIONS: u8 = 4;
const DATA: u8 = 8;

pub(crate) fn encode(buffer: &mut Vec<u8>, event: &Event) {
    for text in [event.id.as_str(), event.source.as_str(), event.subject.as_str(), &event.event_type] {
        put_bytes(buffer, text.as_bytes());
    }
    let flag = |flag, is_there| if is_there { flag } else { 0 };
    buffer.push(
        flag(TIME, event.time.is_some())
            | flag(CONTENT_TYPE, event.datacontenttype.is_some())
            | flag(EXTENSIONS, !event.extensions.is_empty())
            | flag(DATA, event.data.is_some()),
    );
    if let Some(time) = event.time {
        buffer.extend_from_slice(&time.as_second().to_le_bytes());
        buffer.extend_from_slice(&time.subsec_nanosecond().to_le_bytes());
    }
    if let Some(media_type) = &event.datacontenttype {
        put_bytes(buffer, media_type.as_bytes());
    }
    if !event.extensions.is_empty() {
        put_bytes(buffer, &serde_json::to_vec(&event.extensions).unwrap_or_default());
    }
    if let Some(data) = &event.data {
        put_bytes(buffer, data);
    }
}

/// `None`: these bytes are no event.
pub(crate) fn decode(bytes: &[u8]) -> Option<Event> {
    let mut input = Input(bytes);
    let (id, source, subject) = (input.text()?.into(), input.text()?.into(), input.text()?.into());
    let event_type = input.text()?.to_owned();
    let flags = input.byte()?;
    let has = |flag| flags & flag != 0;
    let time = if has(TIME) {
        let (seconds, nanoseconds) = (input.signed()?, input.array().map(i32::from_le_bytes)?);
        Some(Timestamp::new(seconds, nanoseconds).ok()?)
    } else {
        None
    };
    let datacontenttype = if has(CONTENT_TYPE) { Some(input.text()?.to_owned()) } else { None };
    let extensions =
        if has(EXTENSIONS) { serde_json::from_slice(input.bytes()?).ok()? } else { BTreeMap::new() };
    let data = if has(DATA) { Some(Bytes::copy_from_slice(input.bytes()?)) } else { None };
    Some(Event {
        id,
        source,
        subject,
        event_type,
        time,
        datacontenttype,
        extensions,
        data,
        document: Document::default(),
    })
}
