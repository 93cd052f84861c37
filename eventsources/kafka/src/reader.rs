//! From a record to a draft: as it stands, or decoded by its schema.

use eventsource_core::{Draft, Error};
use rdkafka::message::Message;

use crate::record::Shape;
use crate::schemas::Schemas;

/// A zero byte, and the schema's number in four.
const FRAME: usize = 5;

pub(crate) struct Reader {
    pub(crate) shape: Shape,
    pub(crate) schemas: Option<Schemas>,
}

impl Reader {
    /// # Errors
    /// Transient: its schema can't be had now.
    pub(crate) async fn draft(&mut self, record: &impl Message) -> Result<Draft, Error> {
        let (Some(schemas), Some(value)) = (&mut self.schemas, record.payload()) else {
            return self.shape.draft(record);
        };
        let Some((number, value)) = framed(value) else {
            let why = "expected a zero byte, the number of a schema in four bytes, and an Avro value";
            return Ok(self.shape.unreadable(record, why));
        };
        let schema = schemas.get(number).await?;
        match &*schema {
            Ok(avro) => match avro.json(value) {
                Ok(body) => self.shape.decoded(record, &body),
                Err(why) => {
                    let why = format_args!("is no value of schema {number}: {why}");
                    Ok(self.shape.unreadable(record, why))
                }
            },
            Err(why) => Ok(self.shape.unreadable(record, why)),
        }
    }
}

fn framed(value: &[u8]) -> Option<(u32, &[u8])> {
    let (frame, value) = value.split_at_checked(FRAME)?;
    match frame {
        [0, number @ ..] => Some((u32::from_be_bytes(number.try_into().ok()?), value)),
        _ => None,
    }
}
