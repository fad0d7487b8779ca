//! A trace from `#[instrument]` to a collector, in one program.
//!
//! ```text
//! cargo run --example quickstart
//! cargo run --example quickstart -- --endpoint http://localhost:4317
//! ```
//!
//! The first starts a collector on a loopback port, sends it the spans of a small shop over gRPC,
//! and draws what arrived: an order, which is kept because a card was declined, and a task that is
//! kept in any case; and the logs of its warnings, with the ids of their trace and span. Health checks that went well are dropped, as the ledger tells. The second sends the same spans to a collector of yours.
//! `start_tracing` is the part to copy; the shop, `work.rs`, knows nothing but `tracing`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example is there to print"
)]

mod axis;
mod collector;
mod log;
mod tree;
mod work;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use prost::Message;
use tracing::Level;
use tracing_otlp::{EventRule, Events, Rule, Tail};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

use crate::axis::{Paint, Style};
use crate::collector::Collector;

/// All that a program needs: the layer in its subscriber, and the guard until the end of `main`.
fn start_tracing(endpoint: &str) -> Result<tracing_otlp::Guard, Box<dyn Error>> {
    // Tail sampling (feature `tail`): of the traces those that failed, and those with such a span.
    let tail = Tail::default().with_rule(Rule::new().name("refresh_*"));
    let (otlp, guard) = tracing_otlp::layer()
        .with_service_name("quickstart")
        .with_endpoint(endpoint)
        .with_tail_sampling(tail)
        // Warnings are logs too, with the ids of their span.
        .with_event_rule(EventRule::new(Events::Both).with_level(Level::WARN))
        .build()?;
    // Info and above: what HTTP and gRPC libraries say of themselves is below.
    tracing_subscriber::registry()
        .with(otlp.with_filter(LevelFilter::INFO))
        .try_init()?;
    Ok(guard)
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (collector, endpoint) = match &arguments[..] {
        [] => {
            let collector = Collector::start()?;
            let endpoint = collector.endpoint().to_owned();
            (Some(collector), endpoint)
        }
        [flag, url] if flag == "--endpoint" => (None, url.clone()),
        _ => {
            eprintln!("usage: quickstart [--endpoint URL]");
            return Ok(ExitCode::from(2));
        }
    };

    let guard = start_tracing(&endpoint)?;
    work::run()?;
    let outcome = guard.handle().shutdown(Duration::from_secs(5));

    let paint = Paint::for_stdout();
    let line = |label, text: &str| println!("  {}  {text}", paint.wrap(Style::Dim, label));
    if let Some(collector) = collector {
        let requests = collector.requests();
        let bytes: usize = requests.iter().map(Message::encoded_len).sum();
        print!("{}", tree::draw(&requests, paint));
        for text in log::lines(&collector.logs()) {
            line("log     ", &text);
        }
        line("arrived ", &format!("{bytes} bytes by gRPC at {endpoint}"));
    } else {
        println!();
        line("sent to ", &endpoint);
        line(
            "look for",
            "service quickstart, spans checkout and refresh_prices",
        );
    }
    line("ledger  ", &format!("{}\n", guard.handle().stats()));
    if let Err(error) = outcome {
        eprintln!("  Not everything was delivered: {error}\n");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
