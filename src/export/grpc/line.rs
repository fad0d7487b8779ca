//! A channel and the tasks behind it, which end with it.
//!
//! Dropping a channel alone lets its connection finish what it has begun to send. To a collector that does not read, that is
//! never.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use hyper::rt::Executor;
use tokio::task::AbortHandle;
use tonic::transport::{Channel, Endpoint};

use super::connect::Connector;
use super::lock;

#[derive(Debug)]
pub(super) struct Line {
    pub(super) channel: Channel,
    tasks: Tasks,
}

#[derive(Clone, Debug, Default)]
struct Tasks(Arc<Mutex<Vec<AbortHandle>>>);

impl Line {
    /// A line that connects when it is used. It is made inside the runtime, since it starts tasks.
    pub(super) fn new(endpoint: &Endpoint) -> Self {
        let tasks = Tasks::default();
        let endpoint = endpoint.clone().executor(tasks.clone());
        Self {
            channel: endpoint.connect_with_connector_lazy(Connector),
            tasks,
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        lock(&self.tasks.0).drain(..).for_each(|task| task.abort());
    }
}

impl Executor<Pin<Box<dyn Future<Output = ()> + Send>>> for Tasks {
    fn execute(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let mut tasks = lock(&self.0);
        tasks.retain(|task| !task.is_finished());
        tasks.push(tokio::spawn(future).abort_handle());
    }
}
