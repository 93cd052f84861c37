//! GitHub's hook API as its documentation has it: paging by `Link`, 404, 401, 403, 422, rate limits, tokens of apps.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::provider::{Answer, Call, Provider};

const LOGINS: [&str; 2] = ["token t0ken", "token of-the-installation"];

/// Hooks by place, and what a place answers instead.
#[derive(Default)]
pub(crate) struct State {
    hooks: BTreeMap<String, Vec<Value>>,
    refusals: BTreeMap<String, Answer>,
    next: u64,
    /// Hooks on one page.
    page: usize,
}

pub(crate) struct GithubApi {
    pub(crate) provider: Provider,
    state: Arc<Mutex<State>>,
}

impl GithubApi {
    pub(crate) async fn start(places: &[&str]) -> Self {
        let hooks = places.iter().map(|place| ((*place).to_owned(), Vec::new())).collect();
        let state = Arc::new(Mutex::new(State { hooks, next: 1, page: 100, ..State::default() }));
        let shared = state.clone();
        let provider = Provider::start(move |call| shared.lock().unwrap().answer(call)).await;
        Self { provider, state }
    }

    /// A hook that somebody has made.
    pub(crate) fn add(&self, place: &str, hook: Value) -> u64 {
        self.state.lock().unwrap().add(place, hook)
    }

    /// Somebody removes all hooks of a place.
    pub(crate) fn lose(&self, place: &str) {
        self.state.lock().unwrap().hooks.insert(place.to_owned(), Vec::new());
    }

    pub(crate) fn hooks(&self, place: &str) -> Vec<Value> {
        self.state.lock().unwrap().hooks[place].clone()
    }

    /// From now on every call at this place is answered so.
    pub(crate) fn refuse(&self, place: &str, answer: Answer) {
        self.state.lock().unwrap().refusals.insert(place.to_owned(), answer);
    }

    pub(crate) fn take(&self, place: &str) {
        self.state.lock().unwrap().refusals.remove(place);
    }

    pub(crate) fn page_of(&self, hooks: usize) {
        self.state.lock().unwrap().page = hooks;
    }
}

pub(crate) fn refusal(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({"message": message, "documentation_url": "https://docs.github.com/rest"}))
}

impl State {
    fn add(&mut self, place: &str, mut hook: Value) -> u64 {
        let id = self.next;
        self.next += 1;
        hook["id"] = json!(id);
        self.hooks.get_mut(place).unwrap().push(hook);
        id
    }

    fn answer(&mut self, call: &Call) -> Answer {
        let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
        if path.starts_with("/app/installations/") {
            return Answer::json(
                201,
                &json!({"token": "of-the-installation", "expires_at": "2099-01-01T00:00:00Z"}),
            );
        }
        if !LOGINS.contains(&call.header("authorization")) {
            return refusal(401, "Bad credentials");
        }
        let (place, id) = path.trim_start_matches('/').split_once("/hooks").unwrap();
        if let Some(answer) = self.refusals.get(place) {
            return answer.clone();
        }
        if !self.hooks.contains_key(place) {
            return refusal(404, "Not Found");
        }
        match (call.method.as_str(), id.trim_start_matches('/').parse::<u64>().ok()) {
            ("GET", None) => self.list(call, place, query),
            ("POST", None) => self.create(place, &call.body),
            (_, Some(id)) => self.change(&call.method, place, id, &call.body),
            _ => refusal(404, "Not Found"),
        }
    }

    fn list(&self, call: &Call, place: &str, query: &str) -> Answer {
        let page =
            query.split('&').find_map(|pair| pair.strip_prefix("page=")?.parse::<usize>().ok()).unwrap_or(1);
        let hooks = &self.hooks[place];
        let shown: Vec<&Value> = hooks.iter().skip((page - 1) * self.page).take(self.page).collect();
        let answer = Answer::json(200, &json!(shown));
        if page * self.page >= hooks.len() {
            return answer;
        }
        let next = format!(
            "<http://{}/{place}/hooks?per_page=100&page={}>; rel=\"next\"",
            call.header("host"),
            page + 1
        );
        answer.with("link", next)
    }

    fn create(&mut self, place: &str, body: &Value) -> Answer {
        if self.hooks[place].iter().any(|hook| hook["config"]["url"] == body["config"]["url"]) {
            let errors = json!([{"resource": "Hook", "code": "custom", "message": "Hook already exists on this repository"}]);
            return Answer::json(422, &json!({"message": "Validation Failed", "errors": errors}));
        }
        let id = self.add(place, body.clone());
        let made = self.hooks[place].iter().find(|hook| hook["id"] == id).unwrap();
        Answer::json(201, made)
    }

    fn change(&mut self, method: &str, place: &str, id: u64, body: &Value) -> Answer {
        let hooks = self.hooks.get_mut(place).unwrap();
        let Some(index) = hooks.iter().position(|hook| hook["id"] == id) else {
            return refusal(404, "Not Found");
        };
        if method == "DELETE" {
            hooks.remove(index);
            return Answer::text(204, "");
        }
        for (key, value) in body.as_object().unwrap() {
            hooks[index][key] = value.clone();
        }
        Answer::json(200, &hooks[index])
    }
}
