//! The only reader of secrets and config maps (spec/control-plane.md 10.3).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use base64::Engine as _;
use secrecy::ExposeSecret as _;
pub use secrecy::SecretString as SecretText;
use zetes_api::{ConfigMap, ConfigMapKeyRef, Namespace, Secret, SecretKeyRef};

/// Where values named by manifests come from, in this order: documents `kind: Secret` and `ConfigMap` beside the
/// manifests, files `<dir>/<namespace>/<name>/<key>` or `<dir>/<name>/<key>`, and for secrets the environment variable
/// `ZETES_SECRET_<NAME>_<KEY>`. Clones share the values; a reload replaces them for all.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    sources: Arc<RwLock<Arc<Sources>>>,
    seen: Option<Arc<Mutex<Seen>>>,
}

/// What was read first under each name; `None` where it could not be.
type Seen = BTreeMap<(Namespace, SecretKeyRef), Option<SecretText>>;

/// What [`Secrets`] are made of.
#[derive(Debug, Default)]
pub struct SecretsBuilder(Sources);

#[derive(Debug, Default)]
struct Sources {
    secrets: BTreeMap<(Namespace, String), Arc<BTreeMap<String, SecretText>>>,
    config_maps: BTreeMap<(Namespace, String), Arc<BTreeMap<String, String>>>,
    secret_dir: Option<PathBuf>,
    config_map_dir: Option<PathBuf>,
    environment: BTreeMap<String, SecretText>,
}

/// Why a value can't be had. Never contains a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("{what} `{namespace}/{name}` key `{key}` not found; looked in {looked_in}")]
    NotFound { what: &'static str, namespace: Namespace, name: String, key: String, looked_in: String },
    #[error("{what} `{namespace}/{name}` key `{key}` can't be read: {why}")]
    Unreadable { what: &'static str, namespace: Namespace, name: String, key: String, why: String },
}

impl SecretsBuilder {
    /// Adds a document. `stringData` wins over `data`.
    ///
    /// # Errors
    /// A value under `data` that is not base64 text, by key.
    pub fn secret(&mut self, namespace: Namespace, secret: &Secret) -> Result<(), SecretError> {
        let name = secret.metadata.name.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut values = BTreeMap::new();
        for (key, encoded) in &secret.data {
            values.insert(key.clone(), decoded(&namespace, &name, key, encoded)?);
        }
        for (key, text) in &secret.string_data {
            values.insert(key.clone(), SecretText::from(text.clone()));
        }
        self.0.secrets.insert((namespace, name), Arc::new(values));
        Ok(())
    }

    pub fn config_map(&mut self, namespace: Namespace, config_map: &ConfigMap) {
        let name = config_map.metadata.name.as_ref().map(ToString::to_string).unwrap_or_default();
        self.0.config_maps.insert((namespace, name), Arc::new(config_map.data.clone()));
    }

    /// A folder in the layout in which Kubernetes mounts secrets.
    pub fn secret_dir(&mut self, dir: impl Into<PathBuf>) {
        self.0.secret_dir = Some(dir.into());
    }

    pub fn config_map_dir(&mut self, dir: impl Into<PathBuf>) {
        self.0.config_map_dir = Some(dir.into());
    }

    /// The process's environment; only names beginning with `ZETES_SECRET_` are kept.
    pub fn environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        let ours = variables.into_iter().filter(|(name, _)| name.starts_with("ZETES_SECRET_"));
        self.0.environment.extend(ours.map(|(name, value)| (name, SecretText::from(value))));
    }

    pub fn build(self) -> Secrets {
        Secrets { sources: Arc::new(RwLock::new(Arc::new(self.0))), seen: None }
    }
}

fn decoded(namespace: &Namespace, name: &str, key: &str, encoded: &str) -> Result<SecretText, SecretError> {
    let unreadable = |why: &str| SecretError::Unreadable {
        what: "secret",
        namespace: namespace.clone(),
        name: name.to_owned(),
        key: key.to_owned(),
        why: why.to_owned(),
    };
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(encoded.split_whitespace().collect::<String>())
        .map_err(|_| {
            unreadable("the value under `data` is not base64; plain text belongs under `stringData`")
        })?;
    String::from_utf8(bytes).map(SecretText::from).map_err(|_| unreadable("the value is not UTF-8 text"))
}

impl Secrets {
    pub fn builder() -> SecretsBuilder {
        SecretsBuilder::default()
    }

    /// Takes over the sources of `other`, for all clones of `self`.
    pub fn replace(&self, other: &Self) {
        let sources = other.sources();
        *self.sources.write().unwrap_or_else(PoisonError::into_inner) = sources;
    }

    /// The same secrets, remembering what is read through them: for whoever must notice a rotation.
    #[must_use]
    pub fn remembering(&self) -> Self {
        Self { sources: self.sources.clone(), seen: Some(Arc::default()) }
    }

    /// Whether something that was read through [`Secrets::remembering`], or a clone of what it gave, reads otherwise now. A
    /// secret that was there and can't be read for a moment has not changed.
    pub fn have_changed(&self) -> bool {
        let Some(seen) = &self.seen else { return false };
        let sources = self.sources();
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().any(|((namespace, key), before)| match (before, sources.secret(namespace, key)) {
            (_, Err(_)) => false,
            (None, Ok(_)) => true,
            (Some(before), Ok(now)) => before.expose_secret() != now.expose_secret(),
        })
    }

    /// The value, without one trailing newline.
    ///
    /// # Errors
    /// Not found anywhere, or not readable: the caller fails closed (S35).
    pub fn secret(&self, namespace: &Namespace, key: &SecretKeyRef) -> Result<SecretText, SecretError> {
        let value = self.sources().secret(namespace, key);
        if let Some(seen) = &self.seen {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.entry((namespace.clone(), key.clone())).or_insert_with(|| value.as_ref().ok().cloned());
        }
        value
    }

    /// The value, without one trailing newline.
    ///
    /// # Errors
    /// As for [`Secrets::secret`].
    pub fn config_map(&self, namespace: &Namespace, key: &ConfigMapKeyRef) -> Result<String, SecretError> {
        self.sources().config_map(namespace, key)
    }

    fn sources(&self) -> Arc<Sources> {
        self.sources.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Sources {
    fn secret(&self, namespace: &Namespace, key: &SecretKeyRef) -> Result<SecretText, SecretError> {
        let document =
            self.secrets.get(&(namespace.clone(), key.name.clone())).and_then(|values| values.get(&key.key));
        if let Some(value) = document {
            return Ok(SecretText::from(without_newline(value.expose_secret())));
        }
        if let Some(text) = file(self.secret_dir.as_deref(), "secret", namespace, &key.name, &key.key)? {
            return Ok(SecretText::from(without_newline(&text)));
        }
        let variable = variable_name(&key.name, &key.key);
        if let Some(value) = self.environment.get(&variable) {
            return Ok(SecretText::from(without_newline(value.expose_secret())));
        }
        let looked_in = format!("{}, {variable}", looked_in("Secret", self.secret_dir.as_deref()));
        Err(not_found("secret", namespace, &key.name, &key.key, looked_in))
    }

    fn config_map(&self, namespace: &Namespace, key: &ConfigMapKeyRef) -> Result<String, SecretError> {
        let document = self
            .config_maps
            .get(&(namespace.clone(), key.name.clone()))
            .and_then(|values| values.get(&key.key));
        if let Some(value) = document {
            return Ok(without_newline(value));
        }
        if let Some(text) =
            file(self.config_map_dir.as_deref(), "config map", namespace, &key.name, &key.key)?
        {
            return Ok(without_newline(&text));
        }
        let looked_in = looked_in("ConfigMap", self.config_map_dir.as_deref());
        Err(not_found("config map", namespace, &key.name, &key.key, looked_in))
    }
}

fn looked_in(kind: &str, dir: Option<&Path>) -> String {
    let documents = format!("documents `kind: {kind}`");
    dir.map_or_else(|| documents.clone(), |dir| format!("{documents}, {}", dir.display()))
}

fn not_found(
    what: &'static str,
    namespace: &Namespace,
    name: &str,
    key: &str,
    looked_in: String,
) -> SecretError {
    SecretError::NotFound {
        what,
        namespace: namespace.clone(),
        name: name.to_owned(),
        key: key.to_owned(),
        looked_in,
    }
}

/// `ZETES_SECRET_<NAME>_<KEY>`: upper case, everything else `_`.
fn variable_name(name: &str, key: &str) -> String {
    let upper = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
    };
    format!("ZETES_SECRET_{}_{}", upper(name), upper(key))
}

fn without_newline(text: &str) -> String {
    text.strip_suffix('\n').unwrap_or(text).to_owned()
}

fn file(
    dir: Option<&Path>,
    what: &'static str,
    namespace: &Namespace,
    name: &str,
    key: &str,
) -> Result<Option<String>, SecretError> {
    let Some(dir) = dir else { return Ok(None) };
    // A name with a path in it must not leave the folder.
    if [namespace.as_str(), name, key]
        .iter()
        .any(|part| part.is_empty() || *part == ".." || part.contains('/'))
    {
        return Ok(None);
    }
    for path in [dir.join(namespace.as_str()).join(name).join(key), dir.join(name).join(key)] {
        match std::fs::read_to_string(&path) {
            Ok(text) => return Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(SecretError::Unreadable {
                    what,
                    namespace: namespace.clone(),
                    name: name.to_owned(),
                    key: key.to_owned(),
                    why: format!("{}: {error}", path.display()),
                });
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, key: &str) -> SecretKeyRef {
        SecretKeyRef { name: name.into(), key: key.into(), optional: None }
    }

    fn document(name: &str, values: &[(&str, &str)]) -> Secret {
        let values = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let metadata = zetes_api::Metadata { name: Some(name.into()), ..Default::default() };
        Secret { metadata, data: BTreeMap::new(), string_data: values }
    }

    #[test]
    fn a_document_wins_over_file_and_environment() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("hook")).unwrap();
        std::fs::write(dir.path().join("hook/token"), "from file\n").unwrap();
        let mut builder = Secrets::builder();
        builder.secret_dir(dir.path());
        builder.environment([("ZETES_SECRET_HOOK_TOKEN".to_owned(), "from environment".to_owned())]);
        let file_only = builder.build();
        assert_eq!(
            file_only.secret(&"ci".into(), &key("hook", "token")).unwrap().expose_secret(),
            "from file"
        );

        let mut builder = Secrets::builder();
        builder.secret_dir(dir.path());
        builder.secret("ci".into(), &document("hook", &[("token", "from document\n\n")])).unwrap();
        file_only.replace(&builder.build());
        assert_eq!(
            file_only.secret(&"ci".into(), &key("hook", "token")).unwrap().expose_secret(),
            "from document\n"
        );
    }

    #[test]
    fn a_rotation_is_noticed_by_who_remembers_and_a_gap_is_none() {
        let with = |values: &[(&str, &str)]| {
            let mut builder = Secrets::builder();
            builder.secret("ci".into(), &document("hook", values)).unwrap();
            builder.build()
        };
        let secrets = with(&[("token", "a")]);
        let remembering = secrets.remembering();
        assert!(remembering.secret(&"ci".into(), &key("hook", "token")).is_ok());
        assert!(remembering.clone().secret(&"ci".into(), &key("hook", "later")).is_err());
        assert!(!remembering.have_changed());
        secrets.replace(&with(&[]));
        assert!(!remembering.have_changed(), "the secret can't be read for a moment");
        secrets.replace(&with(&[("token", "b")]));
        assert!(remembering.have_changed(), "another value");
        secrets.replace(&with(&[("token", "a"), ("later", "x")]));
        assert!(remembering.have_changed(), "what could not be read is there now");
        assert!(!secrets.have_changed(), "who does not remember notices nothing");
    }

    #[test]
    fn the_environment_is_the_last_place() {
        let mut builder = Secrets::builder();
        builder.environment([("ZETES_SECRET_MY_HOOK_API_KEY".to_owned(), "k".to_owned())]);
        assert_eq!(
            builder.build().secret(&"ci".into(), &key("my-hook", "api.key")).unwrap().expose_secret(),
            "k"
        );
    }

    #[test]
    fn a_missing_secret_says_where_it_was_looked_for() {
        let error = Secrets::default().secret(&"ci".into(), &key("hook", "token")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "secret `ci/hook` key `token` not found; looked in documents `kind: Secret`, ZETES_SECRET_HOOK_TOKEN"
        );
    }

    #[test]
    fn a_name_cannot_leave_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("outside"), "x").unwrap();
        std::fs::create_dir(dir.path().join("in")).unwrap();
        let mut builder = Secrets::builder();
        builder.secret_dir(dir.path().join("in"));
        assert!(builder.build().secret(&"ci".into(), &key("..", "outside")).is_err());
    }

    #[test]
    fn a_value_that_is_not_base64_names_its_key() {
        let mut secret = document("hook", &[]);
        secret.data.insert("token".into(), "not base64!".into());
        let error = Secrets::builder().secret("ci".into(), &secret).unwrap_err();
        assert!(error.to_string().contains("secret `ci/hook` key `token`"), "{error}");
    }
}
