//! Lists of Bitbucket Data Center, which come in pages with numbers.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::api::{Api, ApiError};

/// Items of a page; the server may give fewer.
const PAGE: usize = 500;
/// Pages of a list that are read.
const MOST_PAGES: usize = 100;

#[derive(Deserialize)]
struct Page<T> {
    values: Vec<T>,
    #[serde(default, rename = "isLastPage")]
    is_last: bool,
    #[serde(default, rename = "nextPageStart")]
    next: Option<u64>,
}

/// All items, at most 100 pages of them.
pub(super) async fn list<T: DeserializeOwned>(api: &Api, path: &str) -> Result<Vec<T>, ApiError> {
    let (mut items, mut start) = (Vec::new(), 0);
    for _ in 0..MOST_PAGES {
        let page: Page<T> = api.get(&format!("{path}?limit={PAGE}&start={start}")).await?;
        items.extend(page.values);
        match page.next.filter(|_| !page.is_last) {
            Some(next) => start = next,
            None => break,
        }
    }
    Ok(items)
}
