//! The resource that a kind belongs to, guessed: there is no cluster to ask.

/// Group, version and plural name of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) name: String,
}

impl Resource {
    /// The guess of the reference (spec/sensors.md 11.1): right for almost every kind, and always the same.
    pub(crate) fn guess(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self { group: group.to_owned(), version: version.to_owned(), name: plural(kind) }
    }

    /// As kubectl names it: `workflows.argoproj.io`, `pods`.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() { self.name.clone() } else { format!("{}.{}", self.name, self.group) }
    }
}

/// The ending is looked at as it is written, so that an abbreviation gets an `s`.
fn plural(kind: &str) -> String {
    let singular = kind.to_lowercase();
    let mut last = kind.chars().rev();
    let (Some(end), Some(before)) = (last.next(), last.next()) else { return singular };
    let cut = |count: usize| {
        let kept = singular.chars().count().saturating_sub(count);
        singular.chars().take(kept).collect::<String>()
    };
    match (before, end) {
        _ if kind == "EventBus" => singular,
        (_, 's' | 'x' | 'z') | ('c' | 's', 'h') => singular + "es",
        ('a' | 'e' | 'i' | 'o' | 'u', 'y') => singular + "s",
        (_, 'y') => cut(1) + "ies",
        ('f', 'e') => cut(2) + "ves",
        (_, 'f') => cut(1) + "ves",
        _ => singular + "s",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn vectors_of_resource_names() {
        zetes_vectors::check("resource-names", |input| {
            let text = |key: &str| input[key].as_str().unwrap_or_default();
            let resource = Resource::guess(text("apiVersion"), text("kind"));
            json!({"group": resource.group, "version": resource.version, "resource": resource.name})
        });
    }
}
