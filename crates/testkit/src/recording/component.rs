//! A component that takes note.

use std::{
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use services::{Body, FederationComponent};

/// Decides how a component answers, and whether at all.
type Script = Arc<dyn Fn(&Request<Bytes>) -> Option<Response<Body>> + Send + Sync>;

/// Records the calls that reach it, and answers by a script; without one, 200 with `{}`.
pub struct RecordingComponent {
    calls: Mutex<Vec<Request<Bytes>>>,
    script: Mutex<Script>,
}

impl Default for RecordingComponent {
    fn default() -> Self {
        let script: Script = Arc::new(|_| Some(json_answer(200, "{}")));
        Self { calls: Mutex::default(), script: Mutex::new(script) }
    }
}

impl RecordingComponent {
    /// The calls so far.
    pub fn calls(&self) -> Vec<Request<Bytes>> {
        lock(&self.calls).clone()
    }

    /// Answers from now on by that script.
    pub fn answer_by(&self, script: impl Fn(&Request<Bytes>) -> Response<Body> + Send + Sync + 'static) {
        *lock(&self.script) = Arc::new(move |request| Some(script(request)));
    }

    /// Takes note from now on, and never answers.
    pub fn fall_silent(&self) {
        *lock(&self.script) = Arc::new(|_| None);
    }

    /// Answers from now on with that status and that JSON.
    pub fn answer_with(&self, status: u16, json: &'static str) {
        self.answer_by(move |_| json_answer(status, json));
    }
}

#[async_trait]
impl FederationComponent for RecordingComponent {
    async fn handle(&self, request: Request<Bytes>) -> Response<Body> {
        let script = Arc::clone(&lock(&self.script));
        let answer = script(&request);
        lock(&self.calls).push(request);
        match answer {
            Some(answer) => answer,
            None => pending().await,
        }
    }
}

fn json_answer(status: u16, json: &'static str) -> Response<Body> {
    let answer = Response::builder().status(status).header("content-type", "application/json").body(Body::from(json));
    answer.expect("a valid status")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
